#!/usr/bin/env bash
# Installs Chromium for the browser tests if it is missing: Debian's package, otherwise Playwright's ($1).
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
echo "The browser tests need Chromium, and this script could not install it; run: sudo apt-get install chromium" >&2
exit 1
