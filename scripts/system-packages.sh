#!/usr/bin/env bash
# Install the Debian packages that the tests need, if they are missing: browsers, a broker, a database, and sound devices without hardware.
set -euo pipefail
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need chromium chromium
need firefox-esr firefox-esr
need pulseaudio pulseaudio
need pactl pulseaudio-utils
need nats-server nats-server
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=(postgresql)
ls /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so >/dev/null 2>&1 || missing+=(libasound2-plugins)
ls /usr/lib/*/libportaudio.so.2 >/dev/null 2>&1 || missing+=(libportaudio2)
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing ${missing[*]}"
root=(); [ "$(id -u)" -eq 0 ] || root=(sudo)
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
