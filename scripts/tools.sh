#!/usr/bin/env bash
# Installs what the tests and checks need beside git, Rust and Python into the ignored folder .venv of this repository:
# cfn-lint (checks template.yaml), cargo-lambda (drives the handlers as Lambdas) and schemathesis (asks the REST API what its
# description allows, and what it does not), and the libraries of OpenAI, Anthropic, Google and AWS, whose types judge our requests, at the
# pinned versions and hashes of requirements.txt; into .tools aimock, a server that plays models, GitHub's own payloads, its description
# of its API, which judges our requests to it, and emulate, a GitHub on loopback, with the Node that it needs, and AWS emulators with SAM.
# Does nothing when they are there already.
set -euo pipefail
cd "$(dirname "$0")/.."

# The Makefile puts the folder first that is made anew here: its Python cannot be the one that makes it.
PATH=${PATH//"$PWD/.venv/bin:"/}
venv=.venv
installed=$venv/requirements.txt # a copy, made when everything is in

# The tests behind a pooler want the real one; where it cannot be had they say so and test nothing.
if [ ! -x /usr/sbin/pgbouncer ] && ! command -v pgbouncer >/dev/null; then
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        echo "tools: installing pgbouncer with apt-get" >&2
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq pgbouncer >/dev/null; } ||
            echo "tools: pgbouncer cannot be had: its tests are skipped" >&2
    else
        echo "tools: pgbouncer is not installed: its tests are skipped (on Debian and Ubuntu: sudo apt-get install pgbouncer)" >&2
    fi
fi

# The tests of the sandbox build a project in each of these languages; where one cannot be had they say so.
if ! command -v go >/dev/null; then
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        echo "tools: installing golang with apt-get" >&2
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends golang-go >/dev/null; } ||
            echo "tools: Go cannot be had: its test is skipped" >&2
    else
        echo "tools: Go is not installed: its test is skipped (on Debian and Ubuntu: sudo apt-get install golang-go)" >&2
    fi
fi

# The same for the tests against a server that plays models, with GitHub's own payloads, with its description of its API, and against one
# that plays GitHub.
for package in aimock webhooks-examples github-api emulate; do
    folder=.tools/$package
    cmp -s "scripts/$package/package-lock.json" "$folder/installed-from" && continue
    rm -rf "$folder" && mkdir -p "$folder"
    if ! command -v npm >/dev/null; then
        echo "tools: no npm: the tests with $package are skipped" >&2
    elif cp "scripts/$package"/package*.json "$folder/" && (cd "$folder" && npm ci --silent --no-fund --no-audit --ignore-scripts); then
        # Of the six descriptions in several forms one is kept: 13 MB of 380.
        descriptions=$folder/node_modules/@octokit/openapi/generated
        [ ! -d "$descriptions" ] || find "$descriptions" -name '*.json' ! -name api.github.com.json -delete
        cp "$folder/package-lock.json" "$folder/installed-from"
    else
        echo "tools: npm could not install $package: its tests are skipped" >&2
    fi
done

if cmp -s scripts/requirements.txt "$installed" && "$venv/bin/python3" -m pip --version >/dev/null 2>&1; then
    exec scripts/aws-emulators/install.sh
fi

say() { echo "tools: $*" >&2; }

# A virtual environment with pip. Debian's python3 comes without the module that puts pip into one: then the system's pip
# does it from outside, and where there is none, the system's package manager brings the module.
make_venv() {
    rm -rf "$venv"
    if python3 -c 'import ensurepip' 2>/dev/null; then
        python3 -m venv "$venv"
    elif python3 -m pip --python "$(command -v python3)" --version >/dev/null 2>&1; then
        python3 -m venv --without-pip "$venv"
        python3 -m pip --python "$venv/bin/python3" install --quiet --disable-pip-version-check pip
    elif command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        say "installing python3-venv with apt-get, since this Python has no pip"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >&2
        python3 -m venv "$venv"
    else
        say "this Python has no pip; install it (on Debian and Ubuntu: sudo apt-get install python3-venv) and run this again"
        exit 1
    fi
}

if ! command -v python3 >/dev/null || ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "Python 3.11 or newer is needed as python3"
    exit 1
fi
say "installing cfn-lint, cargo-lambda, schemathesis and the vendors' libraries into $venv"
make_venv
"$venv/bin/python3" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement scripts/requirements.txt
cp scripts/requirements.txt "$installed"
say "$("$venv/bin/cfn-lint" --version), $("$venv/bin/cargo-lambda" lambda --version), $("$venv/bin/schemathesis" --version)"
exec scripts/aws-emulators/install.sh
