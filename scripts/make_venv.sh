#!/usr/bin/env bash
# Creates the virtual environment $1 with the packages of requirements-dev.lock and this project.
# PYTHON=… chooses the interpreter. The default is the first of the usual names that is Python 3.11 or newer.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$1
version='import sys; print("%d.%d" % sys.version_info[:2])'
export PIP_DISABLE_PIP_VERSION_CHECK=1

stop() { printf '%s\n' "$*" >&2; exit 1; }

find_python() {
  local name
  for name in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do
    # Run it, because a name on the path may be a shim without an interpreter.
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$name"
      return
    fi
  done
  return 1
}

python=$(find_python) || stop "Python 3.11 or newer is needed; none found among ${PYTHON:-python3, python3.11 … python3.14}."

# Debian ships Python without ensurepip, which installs pip into new environments.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  package="python$("$python" -c "$version")-venv"
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    stop "$python cannot create virtual environments; run: sudo apt-get install $package"
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package"
fi

echo "Installing into $environment, which takes a minute or two …"
clear=()
# Replace an environment of another Python version, for example after an upgrade of the system.
if [ -e "$environment" ] && [ "$("$environment/bin/python" -c "$version" 2>&1)" != "$("$python" -c "$version")" ]; then
  clear=(--clear)
fi
"$python" -m venv ${clear[@]+"${clear[@]}"} "$environment"
pip=("$environment/bin/python" -m pip --require-virtualenv)
"${pip[@]}" install --quiet --require-hashes --no-deps --requirement requirements-dev.lock
"${pip[@]}" install --quiet --no-deps --no-build-isolation --editable .
"${pip[@]}" check
