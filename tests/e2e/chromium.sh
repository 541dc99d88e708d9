#!/bin/sh
# Chromium, before other work where we may say so: on a desktop its audio has real-time priority.
[ "$(id -u)" -eq 0 ] && exec nice -n -15 /usr/bin/chromium "$@"
exec /usr/bin/chromium "$@"
