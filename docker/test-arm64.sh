#!/usr/bin/env bash
# Builds Ninefold for arm64 and tries it on a machine of another kind: cross-compiled against Debian 13's arm64 libraries, run by qemu.
#
#   docker/test-arm64.sh     as root, on amd64; CHROOT (default bin/arm64) keeps the release, its packages and the build cache: about 3 GB
#
# Shown: every package and both engines compile and link; the sandbox's list of system calls is arm64's, and its filters answer as they must;
# the known pictures, video and note come out right from arm64's libvips, libheif and ffmpeg. Not shown: seccomp and Landlock at work (qemu
# has neither), and how fast anything is. Programs of arm64 are runnable in a user namespace of the test's own, nowhere else (Linux 6.7).
set -Eeuo pipefail
# shellcheck source=docker/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
chroot=${CHROOT:-$root/bin/arm64}

say() { printf 'arm64: %s\n' "$*" >&2; }
fail() {
  printf 'arm64: %s\n' "$1" >&2
  exit 1
}

make_release() {
  [ ! -e "$chroot/.made" ] || return 0
  say "making a minimal Debian trixie in $chroot"
  mkdir -p "$chroot"
  debootstrap --variant=minbase --include=ca-certificates trixie "$chroot" "$(mirror Debian)" >"$chroot.log" 2>&1 ||
    fail "debootstrap failed, see $chroot.log"
  touch "$chroot/.made"
}

# within PROGRAM... runs in the release, in namespaces of its own.
within() {
  ROOT=$root CHROOT=$chroot GO_DIR=$(go env GOROOT) GO_MODULES=$(go env GOMODCACHE) \
    unshare --mount --pid --fork --kill-child --propagation private bash "${BASH_SOURCE[0]}" --mount "$@"
}

# emulated PROGRAM... does the same where programs of arm64 run: binfmt_misc belongs to the user namespace.
emulated() {
  ROOT=$root CHROOT=$chroot GO_DIR= GO_MODULES= QEMU=$chroot/usr/bin/qemu-aarch64 \
    unshare --user --map-root-user --mount --pid --fork --kill-child --propagation private bash "${BASH_SOURCE[0]}" --mount "$@"
}

mount_all() {
  mount -t proc proc "$CHROOT/proc"
  mount --rbind /dev "$CHROOT/dev"
  mkdir -p "$CHROOT/usr/local/go" "$CHROOT/root/go/pkg/mod" "$CHROOT/usr/share/fonts"
  [ -z "$GO_DIR" ] || { readonly_bind "$GO_DIR" "$CHROOT/usr/local/go" && readonly_bind "$GO_MODULES" "$CHROOT/root/go/pkg/mod"; }
  mount --bind /usr/share/fonts "$CHROOT/usr/share/fonts"
}

# register has this namespace's kernel hand programs of arm64 to qemu: ELF of 64 bits, little-endian, machine 183.
register() {
  local magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
  local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
  mkdir -p "$CHROOT/binfmt"
  mount -t binfmt_misc none "$CHROOT/binfmt" || fail "this kernel has no binfmt_misc in user namespaces (Linux 6.7)"
  printf '%s' ":aarch64:M::$magic:$mask:$QEMU:F" >"$CHROOT/binfmt/register"
}

# --- inside -------------------------------------------------------------------------------------------------------------------------

packages() {
  export DEBIAN_FRONTEND=noninteractive
  dpkg --add-architecture arm64
  apt-get -q update
  apt-get -q -y install --no-install-recommends gcc-aarch64-linux-gnu pkg-config qemu-user
  apt-get -q -y install --no-install-recommends libc6-dev:arm64 libicu-dev:arm64 libvips-dev:arm64 libstdc++6:arm64 \
    libheif-plugin-aomenc:arm64 libheif-plugin-dav1d:arm64 libheif-plugin-libde265:arm64 ffmpeg:arm64
}

build() {
  cd /src/ninefold
  export GOARCH=arm64 CC=aarch64-linux-gnu-gcc PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig
  export GOFLAGS='-mod=readonly -buildvcs=false'
  mkdir -p /out
  CGO_ENABLED=1 go build -o /out/ ./cmd/ninefold ./cmd/ninefold-engine
  CGO_ENABLED=0 go build -o /out/ ./cmd/ninefold-voice-engine
  CGO_ENABLED=0 go test -c -o /out/sandbox.test ./transcode/sandbox
  CGO_ENABLED=1 go test -c -o /out/engine.test ./cmd/ninefold-engine
}

try_all() {
  cd /src/ninefold/transcode/sandbox
  /out/sandbox.test -test.run '^(TestEveryCallIsKnown|TestTheListServesBothArchitectures|TestWhatTheFiltersAnswer)$' -test.v | grep -E '^(---|PASS|FAIL| )'
  cd /src/ninefold/cmd/ninefold-engine
  /out/engine.test -test.run '^TestKnownAnswers$' -test.v | grep -E '^(---|PASS|FAIL| )'
  /out/ninefold process --model none --out /tmp/parts /src/ninefold/transcode/known/note.ogg
}

# --- run ----------------------------------------------------------------------------------------------------------------------------

case ${1:-} in
  --mount)
    shift
    mount_all
    [ -z "${QEMU:-}" ] || register
    exec chroot "$CHROOT" /usr/bin/env -i HOME=/root TERM=dumb LC_ALL=C.UTF-8 TZ=UTC \
      PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash /src/ninefold/docker/test-arm64.sh --inside "$@"
    ;;
  --inside)
    "$2"
    exit
    ;;
esac
[ "$(id -u)" = 0 ] || fail "debootstrap and chroot need root: sudo $0"
for tool in debootstrap unshare chroot go git; do
  command -v "$tool" >/dev/null || fail "there is no $tool on PATH; install it (apt-get install debootstrap util-linux git) and run this again"
done
make_release
write_sources trixie
copy_tree
(cd "$root" && go mod download)
within packages >"$chroot.packages.log" 2>&1 || fail "apt-get failed, see $chroot.packages.log"
say "building"
within build
say "running"
emulated try_all
say "done in $SECONDS s"
