#!/usr/bin/env bash
# Installs Debian's Node and npm for the tests of the JavaScript consumer, unless Node 18 or newer is installed.
set -euo pipefail

is_there() {
  command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null
}

if is_there; then
  exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm; then
    is_there && exit 0
  fi
fi
echo "The tests of clients/javascript need Node 18 or newer and npm; run: sudo apt-get install nodejs npm" >&2
exit 1
