#!/usr/bin/env bash
# Runs the tests on another Debian release than this machine's: in a chroot made by debootstrap from this machine's own Debian mirror.
#
#   docker/test-chroot.sh SUITE [PACKAGE...]     as root, e.g. docker/test-chroot.sh trixie ./transcode/vips; none = every package
#
# CHROOT (default bin/SUITE) keeps the release, its packages and its build cache between runs: about 6 GB. The tree that is tested is the one
# this script lies in, without what git ignores; models, Go, its modules and ../shared are this machine's, read-only.
# TEST_FLAGS are handed to go test. The result is printed at the end and kept in CHROOT.result.
set -Eeuo pipefail
# shellcheck source=docker/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

say() { printf 'chroot: %s\n' "$*" >&2; }
fail() {
  printf 'chroot: %s\n' "$1" >&2
  exit 1
}

# --- outside ----------------------------------------------------------------------------------------------------------------------

make_release() {
  [ ! -e "$chroot/.made" ] || return 0
  say "making a minimal Debian $suite in $chroot"
  mkdir -p "$chroot"
  debootstrap --variant=minbase --include=ca-certificates,make "$suite" "$chroot" "$(mirror Debian)" >"$chroot.log" 2>&1 ||
    fail "debootstrap failed, see $chroot.log"
  touch "$chroot/.made"
}

# seed_cache begins with this machine's build cache: what is compiled by another C compiler or linker has other keys in it.
seed_cache() {
  local cache
  cache=$(go env GOCACHE)
  [ -e "$chroot/root/.cache/go-build" ] || { mkdir -p "$chroot/root/.cache" && cp -a "$cache" "$chroot/root/.cache/go-build"; }
}

# enter runs this script inside, in mount and process namespaces of its own: whatever ends it, they end with it, and no mount is left.
enter() {
  (cd "$root" && go mod download)
  CHROOT=$chroot ROOT=$root GO_DIR=$(go env GOROOT) GO_MODULES=$(go env GOMODCACHE) GO_PROXY=$(go env GOPROXY) \
    unshare --mount --pid --fork --kill-child --propagation private bash "${BASH_SOURCE[0]}" --mount "$@"
}

# --- between: mounts ----------------------------------------------------------------------------------------------------------------

mount_all() {
  mount -t proc proc "$CHROOT/proc"
  mount --rbind /sys "$CHROOT/sys"
  mount --rbind /dev "$CHROOT/dev"
  mount -t tmpfs -o size=8g tmpfs "$CHROOT/tmp"
  readonly_bind "$GO_DIR" "$CHROOT/usr/local/go"
  readonly_bind "$GO_MODULES" "$CHROOT/root/go/pkg/mod"
  readonly_bind "$ROOT/../shared" "$CHROOT/src/shared"
  readonly_bind "$ROOT/bin/models" "$CHROOT/src/ninefold/bin/models"
}

# --- inside -------------------------------------------------------------------------------------------------------------------------

versions() {
  . /etc/os-release
  printf '%s: ' "$PRETTY_NAME"
  ffmpeg -version | awk 'NR == 1 {printf "ffmpeg %s, ", $3}'
  printf 'libvips %s, libheif %s, ' "$(pkg-config --modversion vips)" "$(dpkg-query -W -f '${Version}' libheif1)"
  go version
}

# test_each tests one package after another: a line each, and the whole output of those that fail.
test_each() {
  local package failed=0 output
  output=$(mktemp)
  for package in "$@"; do
    # shellcheck disable=SC2086 # flags
    if go test -timeout 30m ${TEST_FLAGS:-} "$package" >"$output" 2>&1; then
      grep -E '^(ok|\?)' "$output" || true
    else
      failed=$((failed + 1))
      cat "$output"
    fi
  done
  rm -f "$output"
  return "$failed"
}

inside() {
  cd /src/ninefold
  make build fonts tools
  [ -e bin/models/index.json ] || make models
  [ $# -gt 0 ] || mapfile -t packages < <(go list ./...)
  versions
  go vet "${@:-./...}"
  test_each "${@:-${packages[@]}}"
}

# --- run ----------------------------------------------------------------------------------------------------------------------------

case ${1:-} in
  --mount)
    shift
    mount_all
    exec chroot "$CHROOT" /usr/bin/env -i HOME=/root TERM=dumb LC_ALL=C.UTF-8 TZ=UTC CI=true TMPDIR=/tmp \
      PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      GOPROXY="$GO_PROXY" GOFLAGS=-mod=readonly TEST_FLAGS="${TEST_FLAGS:-}" bash /src/ninefold/docker/test-chroot.sh --inside "$@"
    ;;
  --inside)
    shift
    inside "$@"
    exit
    ;;
esac
suite=${1:-}
[ -n "$suite" ] || fail "name a release: $0 trixie"
shift
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
chroot=${CHROOT:-$root/bin/$suite}
[ "$(id -u)" = 0 ] || fail "debootstrap and chroot need root: sudo $0"
for tool in debootstrap unshare chroot go git; do
  command -v "$tool" >/dev/null || fail "there is no $tool on PATH; install it (apt-get install debootstrap util-linux git) and run this again"
done
make_release
write_sources "$suite"
copy_tree
seed_cache
code=0
enter "$@" | tee "$chroot.result" || code=$?
if [ "$code" = 0 ]; then
  echo "test-$suite: everything passed in $SECONDS s, set-up counted"
else
  echo "test-$suite: FAILED, see the lines marked FAIL above" >&2
fi
exit "$code"
