#!/usr/bin/env bash
# Installs the peers of `make bench-queue` beside this file, at their pinned versions: node_modules (which holds the Node
# that they want, too) and venv. What cannot be had is said, and skipped by the benchmark.
set -uo pipefail
cd "$(dirname "$0")"

say() { echo "peers: $*" >&2; }

if ! cmp -s package-lock.json node_modules/installed-from; then
    if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
        say "the pinned Node is for Linux on x86-64: graphile-worker and pg-boss are skipped"
    elif ! command -v npm >/dev/null; then
        say "no npm: graphile-worker and pg-boss are skipped"
    elif npm ci --silent --no-fund --no-audit; then
        cp package-lock.json node_modules/installed-from
    else
        say "npm could not install graphile-worker and pg-boss: they are skipped"
    fi
fi
if ! cmp -s requirements.txt venv/installed-from; then
    rm -rf venv
    if ../../.venv/bin/python3 -m venv --without-pip venv &&
        ../../.venv/bin/python3 -m pip --python venv/bin/python3 install --quiet --disable-pip-version-check --requirement requirements.txt; then
        cp requirements.txt venv/installed-from
    else
        rm -rf venv
        say "DBOS could not be installed: it is skipped"
    fi
fi
exit 0
