#!/usr/bin/env bash
# Describes every query of the store on the database at DATABASE_URL, which must be empty, and keeps the answers in .sqlx/,
# so that building needs no database. `make sqlx` runs this with a private PostgreSQL.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${DATABASE_URL:?is not set: run this by \`make sqlx\`}"

# The psql of the PATH, or the one beside a server that codeteam installed or the system has.
find_psql() {
    command -v psql && return
    local candidate
    for candidate in "${XDG_CACHE_HOME:-$HOME/.cache}"/codeteam /var/cache/codeteam /usr/lib/postgresql /opt/homebrew/opt; do
        candidate=$(find -L "$candidate" -type f -path '*/bin/psql' -perm -u+x 2>/dev/null | sort | tail -n 1)
        [ -n "$candidate" ] && echo "$candidate" && return
    done
    echo "sqlx-prepare: no psql found: install it (on Debian and Ubuntu: sudo apt-get install postgresql-client)" >&2
    return 1
}

psql=$(find_psql)
for migration in migrations/*.sql; do
    transaction=--single-transaction
    case $(head -n 1 "$migration") in "-- no-transaction"*) transaction= ;; esac
    "$psql" "$DATABASE_URL" --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 $transaction --file "$migration"
done

# The answers are written while the macros run, so they must run again; a failure leaves the old answers in place.
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
touch common/store/src/lib.rs
SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$fresh cargo check --quiet --locked --package store --all-targets

count=$(find "$fresh" -name 'query-*.json' | wc -l)
if [ "$count" -eq 0 ]; then
    echo "sqlx-prepare: the store has no query that is checked at compile time: nothing to keep" >&2
    exit 1
fi
mkdir -p .sqlx
rm -f .sqlx/query-*.json
mv "$fresh"/query-*.json .sqlx/
echo "sqlx-prepare: kept $count queries in .sqlx/" >&2
