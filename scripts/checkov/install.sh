#!/usr/bin/env bash
# Installs checkov into the ignored folder .tools/checkov, by the pip of .venv. Does nothing when it is there already.
set -euo pipefail
cd "$(dirname "$0")/../.."

PATH=${PATH//"$PWD/.venv/bin:"/}
folder=.tools/checkov
cmp -s scripts/checkov/requirements.txt "$folder/installed-from" && exit 0
echo "tools: installing checkov into $folder" >&2
rm -rf "$folder"
python3 -m venv --without-pip "$folder"
.venv/bin/python3 -m pip --python "$folder/bin/python3" install --quiet --disable-pip-version-check --no-deps --no-compile \
    --require-hashes --requirement scripts/checkov/requirements.txt
cp scripts/checkov/requirements.txt "$folder/installed-from"
