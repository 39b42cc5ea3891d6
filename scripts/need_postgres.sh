#!/usr/bin/env bash
# Installs Debian's Postgres server with llvmjit if it is missing. Starts no server.
set -euo pipefail

for jit in /usr/lib/postgresql/*/lib/llvmjit.so; do
  if [ -e "$jit" ] && [ -x "${jit%/lib/llvmjit.so}/bin/postgres" ]; then
    exit 0
  fi
done

as_root=()
if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then
  as_root=(sudo)
fi
if [ "$(id -u)" = 0 ] || [ ${#as_root[@]} != 0 ]; then
  # The package creates and starts a cluster of its own unless these two files forbid it.
  policy=/usr/sbin/policy-rc.d
  clusters=/etc/postgresql-common/createcluster.d/bench.conf
  made=()
  trap '[ ${#made[@]} = 0 ] || "${as_root[@]}" rm -f "${made[@]}"' EXIT
  if [ ! -e "$policy" ]; then
    made+=("$policy")
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod +x "$policy"
  fi
  if [ ! -e "$clusters" ]; then
    made+=("$clusters")
    "${as_root[@]}" mkdir -p "$(dirname "$clusters")"
    printf 'create_main_cluster = false\n' | "${as_root[@]}" tee "$clusters" >/dev/null
  fi
  # Debian builds the server with LLVM and ships llvmjit.so in the server's own package.
  if "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; then
    exit 0
  fi
fi
echo "This benchmark needs Debian's Postgres server; run: sudo apt-get install postgresql" >&2
exit 1
