#!/usr/bin/env bash
# Installs the given servers ($@) if they are missing; the default is nats-server, redis-server and rabbitmq-server.
# Starts no server.
set -euo pipefail

wanted=("$@")
if [ $# = 0 ]; then
  wanted=(nats-server redis-server rabbitmq-server)
fi
packages=()
for package in "${wanted[@]}"; do
  # Debian installs some servers in /usr/sbin, which may be missing from the path of other users than root.
  PATH=$PATH:/usr/sbin command -v "$package" >/dev/null || packages+=("$package")
done
if [ ${#packages[@]} = 0 ]; then
  exit 0
fi

as_root=()
if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then
  as_root=(sudo)
fi
if [ "$(id -u)" = 0 ] || [ ${#as_root[@]} != 0 ]; then
  # Debian's packages start their servers unless this file forbids it. The tests start their own.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod +x "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
  fi
  if "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"; then
    exit 0
  fi
fi
echo "These tests need ${packages[*]}; run: sudo apt-get install ${packages[*]}" >&2
exit 1
