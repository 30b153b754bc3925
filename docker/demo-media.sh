#!/usr/bin/env bash
# Makes the demo's uploads and its job from nothing: speech, pictures, an animation and a video, all our own.
#
#   docker/demo-media.sh DIR      writes DIR/uploads/* and DIR/job.json; does nothing where they are there already
set -Eeuo pipefail
dir=${1:?usage: demo-media.sh DIR}
[ -f "$dir/job.json" ] && exit 0
rm -rf "$dir" && mkdir -p "$dir/uploads"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

step() { step=$1; }
trap 'echo "demo-media: making $step failed; run docker/setup.sh and try again" >&2' ERR
ff() { ffmpeg -nostdin -hide_banner -loglevel error -y "$@"; }

step "the voice note (espeak-ng)"
text="This is a voice note that goes on for rather longer than a minute, as they do. "
for i in $(seq 1 15); do printf 'Number %d. %s' "$i" "$text"; done >"$tmp/speech.txt"
espeak-ng -v en -s 150 -f "$tmp/speech.txt" -w "$tmp/speech.wav"
ff -i "$tmp/speech.wav" -t 75 -af volume=-12dB -c:a aac -b:a 64k "$dir/uploads/voice.m4a"

step "the pictures (libvips)"
# paint FROM TO SCALE OFFSET: spreads a one-band picture over red, green and blue and gives it some cloud, which flat colours lack.
paint() {
  vips perlin "$tmp/cloud.v" "$(vipsheader -f width "$1")" "$(vipsheader -f height "$1")" --cell-size 180 --seed 9
  vips linear "$tmp/cloud.v" "$tmp/haze.v" 18 0
  vips linear "$1" "$tmp/tint.v" -- "$3" "$4"
  vips add "$tmp/tint.v" "$tmp/haze.v" "$tmp/sum.v"
  vips cast "$tmp/sum.v" "$tmp/bytes.v" uchar
  vips copy "$tmp/bytes.v" "$2" --interpretation srgb
}
# A lake at dusk, more or less: a ramp from a warm sky down to blue water.
vips grey "$tmp/ramp.v" 1800 2400
vips rot "$tmp/ramp.v" "$tmp/down.v" d90
paint "$tmp/down.v" "$tmp/lake.v" "-140 -60 80" "215 135 95"
vips copy "$tmp/lake.v" "$dir/uploads/lake.heic[Q=80]"

# As a phone held upright writes it: a landscape sensor picture with orientation 6, and the place in its EXIF.
vips sines "$tmp/waves.v" 4032 3024 --hfreq 2 --vfreq 3
paint "$tmp/waves.v" "$tmp/portrait.v" "60 50 -60" "120 130 140"
vips copy "$tmp/portrait.v" "$dir/uploads/portrait.jpg[Q=88]"
exiftool -q -overwrite_original -n -Orientation=6 -Make=Demo -Model=Phone -GPSLatitude=47.5596 -GPSLatitudeRef=N \
  -GPSLongitude=7.5886 -GPSLongitudeRef=E "$dir/uploads/portrait.jpg"

# A round sticker on nothing.
vips mask_ideal "$tmp/disc.v" 800 800 0.9 --optical --nodc
vips linear "$tmp/disc.v" "$tmp/alpha.v" --uchar -- -255 255
vips grey "$tmp/ramp.v" 800 800
paint "$tmp/ramp.v" "$tmp/face.v" "40 -90 10" "200 190 40"
vips bandjoin "$tmp/face.v $tmp/alpha.v" "$dir/uploads/sticker.png"

step "the animation (ffmpeg)"
ff -f lavfi -i "testsrc=s=320x240:r=10:d=3" -vf "split[a][b];[a]palettegen[p];[b][p]paletteuse" "$dir/uploads/loop.gif"

step "the video (ffmpeg)"
ff -f lavfi -i "testsrc2=s=1920x1080:r=30:d=8" -i "$tmp/speech.wav" -t 8 -map 0:v -map 1:a -c:v libx264 -preset ultrafast -crf 20 \
  -pix_fmt yuv420p -c:a aac -metadata location="+47.5596+007.5886/" "$dir/uploads/clip.mov"

step "the job"
cat >"$tmp/job.json" <<'JSON'
{
  "schema": "ninefold.job/1", "job_id": "JOB_ID", "message_id": "m_demo",
  "conversation": {"id": "c_demo", "kind": "group"},
  "sender": {"id": "u_sender", "age_band": "adult"},
  "recipients": [
    {"id": "u_teen", "age_band": "16_17", "contact": "accepted", "nudity_filter": "off"},
    {"id": "u_filtered", "age_band": "adult", "contact": "accepted", "nudity_filter": "hide"},
    {"id": "u_open", "age_band": "adult", "contact": "accepted", "nudity_filter": "off"}
  ],
  "caption": "a day by the lake",
  "items": [
    {"id": "note", "kind": "voice", "source": {"key": "uploads/voice.m4a"}},
    {"id": "lake", "kind": "photo", "source": {"key": "uploads/lake.heic"}, "alt": "a lake at dusk",
     "edits": [{"op": "caption", "text": "lake day 🛶 — Seetag — يوم البحيرة", "position": "bottom", "style": "bar"}]},
    {"id": "portrait", "kind": "photo", "source": {"key": "uploads/portrait.jpg"},
     "edits": [{"op": "crop", "x": 0.1, "y": 0.2, "w": 0.8, "h": 0.6}]},
    {"id": "sticker", "kind": "photo", "source": {"key": "uploads/sticker.png"}},
    {"id": "loop", "kind": "auto", "source": {"key": "uploads/loop.gif"}},
    {"id": "clip", "kind": "video", "source": {"key": "uploads/clip.mov"}, "caption": "eight seconds",
     "edits": [{"op": "trim", "start_ms": 1000, "end_ms": 7000}]}
  ]
}
JSON
mv "$tmp/job.json" "$dir/job.json"
