#!/usr/bin/env bash
# Runs the tests of the packages that are named on every PostgreSQL that Debian's packages have put on this machine beside 18, which the
# suite brings itself: all of them have to understand the same SQL. They are the binaries that `cargo test --workspace` has built; for the
# packages alone Cargo would choose other features for their dependencies and build all of them anew.
set -euo pipefail
cd "$(dirname "$0")/.."

shopt -s nullglob
others=()
for bin in /usr/lib/postgresql/*/bin; do
    [ "$bin" = /usr/lib/postgresql/18/bin ] || others+=("$bin")
done
[ ${#others[@]} -gt 0 ] || { echo "no other PostgreSQL is on this machine"; exit 0; }

# Folder and file of each test binary.
tests=$(${CARGO:-cargo} test --quiet --workspace --locked --no-run --message-format json-render-diagnostics | python3 -c '
import json, os, sys
for line in sys.stdin:
    built = json.loads(line)
    if built["reason"] == "compiler-artifact" and built["profile"]["test"] and built["executable"]:
        folder = os.path.dirname(built["manifest_path"])
        if os.path.basename(folder) in sys.argv[1:]:
            print(folder, built["executable"])
' "$@")
[ -n "$tests" ] || { echo "none of these packages has tests: $*" >&2; exit 2; }

for bin in "${others[@]}"; do
    "$bin/postgres" --version
    while read -r folder binary; do
        (cd "$folder" && DATABASE_URL='' CODETEAM_POSTGRES_BIN=$bin "$binary" --quiet </dev/null)
    done <<<"$tests"
done
