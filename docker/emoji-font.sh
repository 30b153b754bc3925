#!/usr/bin/env bash
# Makes NinefoldEmoji.ttf, the emoji that Debian 12's font is too old for, in the directory given: from the package that docker/emoji-font
# pins, by cmd/ninefold-emoji-font. Needs Go, npm and vips. The package's licence of the font (OFL 1.1) is put beside it.
#
#   docker/emoji-font.sh DIRECTORY
set -euo pipefail
[ $# = 1 ] || { echo "usage: docker/emoji-font.sh DIRECTORY" >&2; exit 2; }
mkdir -p "$1"
to=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp docker/emoji-font/package.json docker/emoji-font/package-lock.json "$scratch"
(cd "$scratch" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
package=$scratch/node_modules/@expo-google-fonts/noto-color-emoji
CGO_ENABLED=0 GOFLAGS=-mod=readonly go run ./cmd/ninefold-emoji-font \
  "$package/400Regular/NotoColorEmoji_400Regular.ttf" "$scratch/NinefoldEmoji.ttf"
install -m 0644 "$package/LICENSE_FONT" "$to/NinefoldEmoji.LICENSE"
install -m 0644 "$scratch/NinefoldEmoji.ttf" "$to/NinefoldEmoji.ttf.new"
mv "$to/NinefoldEmoji.ttf.new" "$to/NinefoldEmoji.ttf" # whole or not at all
