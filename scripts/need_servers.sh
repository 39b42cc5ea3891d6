#!/usr/bin/env bash
# Makes sure that the servers named ($@), or nats-server, redis-server and rabbitmq-server, are installed. Starts none.
set -euo pipefail

wanted=("$@")
if [ $# = 0 ]; then
  wanted=(nats-server redis-server rabbitmq-server)
fi
packages=()
for package in "${wanted[@]}"; do
  # Debian keeps servers where only root's path leads.
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
  # The tests start servers of their own; Debian's packages would start theirs, unless this says no.
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
