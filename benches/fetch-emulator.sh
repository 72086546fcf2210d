#!/usr/bin/env bash
# Brings the AWS Lambda runtime interface emulator into the ignored folder .tools of this repository, out of the wheel of
# aws-sam-cli at the pinned version and hash; nothing else of that wheel is used. Where it cannot be had, it says so and
# the benchmarks run without that peer. Needs .venv (scripts/tools.sh).
set -euo pipefail
cd "$(dirname "$0")/.."

emulator=.tools/aws-lambda-rie
[ -x "$emulator" ] && exit 0

say() { echo "benches: $*" >&2; }

case "$(uname -s)-$(uname -m)" in
Linux-x86_64) machine=x86_64 ;;
Linux-aarch64) machine=arm64 ;;
*)
    say "no runtime interface emulator for $(uname -s) on $(uname -m): that peer is skipped"
    exit 0
    ;;
esac

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! .venv/bin/python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement benches/requirements.txt --dest "$folder"; then
    say "the wheel of aws-sam-cli cannot be had: the runtime interface emulator is skipped as a peer"
    exit 0
fi
mkdir -p .tools
.venv/bin/python3 - "$folder"/*.whl "samcli/local/rapid/aws-lambda-rie-$machine" >"$folder/emulator" <<'PYTHON'
import sys, zipfile
sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))
PYTHON
chmod +x "$folder/emulator"
mv "$folder/emulator" "$emulator"
