#!/usr/bin/env bash
# Sees to it that the browser tests find Chromium: Debian's own, else the one Playwright ($1) brings.
set -euo pipefail
playwright=$1

if command -v chromium >/dev/null; then
  exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; then
    exit 0
  fi
fi
if "$playwright" install chromium; then
  exit 0
fi
echo "The browser tests need Chromium, and it could not be installed from here; run: sudo apt-get install chromium" >&2
exit 1
