#!/usr/bin/env bash
# Fails if a lock names a download location or lacks a hash. Each machine chooses its own package index.
set -euo pipefail
cd "$(dirname "$0")/.."

if grep -nE '://|^ *(--index|--extra-index|--find-links|-i |-f )| @ |^/' requirements*.lock; then
  echo "The lines above name a download location; run \`make lock\`." >&2
  exit 1
fi
if grep -nE '^[a-z0-9].*[^\]$' requirements*.lock; then
  echo "The packages above have no hash; run \`make lock\`." >&2
  exit 1
fi
