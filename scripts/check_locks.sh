#!/usr/bin/env bash
# Fails when a lock names a place to download from: where packages come from is each machine's own business.
set -euo pipefail
cd "$(dirname "$0")/.."

if grep -nE '://|^ *(--index|--extra-index|--find-links|-i |-f )| @ |^/' requirements*.lock; then
  echo "The lines above name a place to download from; make the locks with \`make lock\`." >&2
  exit 1
fi
if grep -nE '^[a-z0-9].*[^\]$' requirements*.lock; then
  echo "The packages above have no hash; make the locks with \`make lock\`." >&2
  exit 1
fi
