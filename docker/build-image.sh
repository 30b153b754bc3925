#!/usr/bin/env bash
# Builds the worker's image where no container engine is at hand, and tries it: buildah with chroot isolation, on a base made by
# debootstrap from this machine's own Debian mirror. With Docker or Podman, build docker/Dockerfile directly instead.
#
#   docker/build-image.sh [WORK]     as root; WORK (default bin/image) keeps the base and the layers between runs: about 4 GB
#   SUITE=bookworm docker/build-image.sh bin/image-12     the same on Debian 12; the default is Debian 13, trixie
#
# Needs buildah (and on Debian 13 its netavark), debootstrap and Go. Nothing of this machine stays in the image: mirrors and the Go toolchain
# are mounted or used for the build stage only.
set -Eeuo pipefail
# shellcheck source=docker/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mkdir -p "${1:-$root/bin/image}" && cd "${1:-$root/bin/image}" && pwd)
readonly suite=${SUITE:-trixie} base=localhost/ninefold-base go_image=localhost/ninefold-go image=localhost/ninefold
export BUILDAH_ISOLATION=chroot TMPDIR=$work

say() { printf 'image: %s\n' "$*" >&2; }
fail() {
  printf 'image: %s\n' "$1" >&2
  exit 1
}
for tool in buildah debootstrap go; do
  command -v "$tool" >/dev/null || fail "there is no $tool on PATH; install it (apt-get install buildah debootstrap) and run this again"
done
[ "$(id -u)" = 0 ] || fail "debootstrap and chroot isolation need root: sudo $0"

store=(--root "$work/storage" --runroot "$work/run")
# What runs in the build keeps this machine's limits: buildah would raise them, and not every root may.
limit() { printf '"%s=%s:%s"' "$1" "$(ulimit -S"$2" | sed s/unlimited/-1/)" "$(ulimit -H"$2" | sed s/unlimited/-1/)"; }
printf '[containers]\ndefault_ulimits = [%s, %s]\n' "$(limit nproc u)" "$(limit nofile n)" >"$work/containers.conf"
export CONTAINERS_CONF_OVERRIDE=$work/containers.conf
buildah() { command buildah "${store[@]}" "$@"; }

make_base() {
  [ ! -e "$work/base/.done" ] || return 0
  say "making a minimal Debian $suite"
  rm -rf "$work/base"
  debootstrap --variant=minbase "$suite" "$work/base" "$(mirror Debian)" >"$work/debootstrap.log" 2>&1 || fail "debootstrap failed, see $work/debootstrap.log"
  slim "$work/base"
  : >"$work/base/etc/apt/sources.list" # the build mounts this machine's
  touch "$work/base/.done"
}

# slim DIR takes out what the slim image of Debian is without: package lists, translations and documentation, the licences excepted.
slim() {
  rm -rf "$1/var/cache/apt/archives/"*.deb "$1/var/lib/apt/lists/"* "$1/usr/share/man/"* "$1/usr/share/info/"* "$1/usr/share/locale/"*
  find "$1/usr/share/doc" -type f ! -name copyright -delete
}

# import NAME DIR...: an image of one layer from directories of files.
import() {
  local name=$1 from=$2 container
  container=$(buildah from "$from")
  shift 2
  buildah copy --quiet "$container" "$@" >/dev/null
  buildah config --env PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  buildah commit --quiet --rm "$container" "$name" >/dev/null
}

import_bases() {
  buildah inspect --type image "$base" >/dev/null 2>&1 || import "$base" scratch "$work/base" /
  buildah inspect --type image "$go_image" >/dev/null 2>&1 || import "$go_image" "$base" "$(go env GOROOT)" /usr/local/go
}

# mounts gives the build this machine's mirrors, for its own release, and what they need.
mounts() {
  local path
  sources "$suite" >"$work/sources.list"
  printf -- '--volume\n%s:%s:ro\n' "$work/sources.list" /etc/apt/sources.list
  for path in /etc/apt/apt.conf.d /etc/apt/keyrings /usr/local/share/ca-certificates; do
    [ ! -e "$path" ] || printf -- '--volume\n%s:%s:ro\n' "$path" "$path"
  done
}

build() {
  local -a mounted
  mapfile -t mounted < <(mounts)
  say "building"
  buildah bud --format docker --layers "${mounted[@]}" -t "$image" -f "$root/docker/Dockerfile" --ignorefile "$root/docker/Dockerfile.dockerignore" \
    --build-arg BASE="$base" --build-arg GO_IMAGE="$go_image" --build-arg GOPROXY="$(go env GOPROXY)" \
    --build-arg NPM_CONFIG_REGISTRY="$(npm config get registry 2>/dev/null)" \
    --build-arg VERSION="$(git -C "$root" describe --always --dirty 2>/dev/null || echo 0.1.0-dev)" "$root" >"$work/build.log" 2>&1 ||
    fail "the build failed: $(tail -n 5 "$work/build.log")"
}

# try_image runs the image's own programs as its own user: what doctor says, and media through engine, classifier and store.
try_image() {
  say "trying it"
  container=$(buildah from "$image")
  start_redis
  "$root/docker/demo-media.sh" "$work/demo" >/dev/null
  chmod -R a+rX "$work/demo"
  in_image ninefold --version
  in_image ninefold doctor --redis-url "redis://127.0.0.1:$redis_port/0" --store /var/lib/ninefold/scratch/store
  healthcheck
  in_image sh -c 'test "$(id -u)" = 10001 && ninefold process --out /var/lib/ninefold/scratch/parts --model nsfwjs-mobilenet-v2 /demo/uploads/*.*' |
    sed 's/^/       /'
}

# healthcheck runs a worker in the image until the image's own HEALTHCHECK passes, then ends it: both must end well. The network is this
# machine's, so the worker's own pages get a port that nothing else has.
healthcheck() {
  local check
  check=$(buildah inspect --type image --format '{{range .Docker.Config.Healthcheck.Test}}{{.}} {{end}}' "$image")
  check=${check#CMD }
  say "health check: $check"
  in_image env NINEFOLD_ADMIN_ADDR="127.0.0.1:$((redis_port + 1))" timeout 60 sh -ec "
    ninefold worker --log-level warn --redis-url redis://127.0.0.1:$redis_port/0 --store /var/lib/ninefold/scratch/store & worker=\$!
    until $check >/dev/null 2>&1; do kill -0 \$worker; sleep 0.2; done
    $check; kill \$worker; wait \$worker"
}

in_image() { buildah run --volume "$work/demo:/demo:ro" "$container" -- "$@"; }

redis_port=$((20000 + $$ % 20000))
redis_pid=
container=
start_redis() {
  redis-server --port "$redis_port" --save '' --appendonly no --dir "$work" --maxmemory-policy noeviction >"$work/redis.log" 2>&1 &
  redis_pid=$!
  timeout 10 sh -c "until redis-cli -p $redis_port ping >/dev/null 2>&1; do :; done" || fail "redis-server does not answer, see $work/redis.log"
}

# tidy leaves the image and nothing else.
tidy() {
  [ -z "$redis_pid" ] || kill "$redis_pid" 2>/dev/null || true
  [ -z "$container" ] || buildah rm "$container" >/dev/null 2>&1 || true
}
trap tidy EXIT

make_base
import_bases
build
try_image
say "size: $(buildah images --format '{{.Size}}' "$image")"
