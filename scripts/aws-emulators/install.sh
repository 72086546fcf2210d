#!/usr/bin/env bash
# Installs AWS emulators (ministack, moto) and SAM into the ignored folder .tools/aws-emulators, by the pip of .venv. The tests with them
# say so and test nothing where that fails. Does nothing when they are there already.
set -euo pipefail
cd "$(dirname "$0")/../.."

PATH=${PATH//"$PWD/.venv/bin:"/}
folder=.tools/aws-emulators
cmp -s scripts/aws-emulators/requirements.txt "$folder/installed-from" && exit 0
echo "tools: installing AWS emulators and SAM into $folder" >&2
rm -rf "$folder"
if python3 -m venv --without-pip "$folder" &&
    .venv/bin/python3 -m pip --python "$folder/bin/python3" install --quiet --disable-pip-version-check --no-deps --no-compile \
        --require-hashes --requirement scripts/aws-emulators/requirements.txt; then
    cp scripts/aws-emulators/requirements.txt "$folder/installed-from"
else
    echo "tools: pip could not install ministack, moto and SAM: the tests with AWS emulators are skipped" >&2
fi
