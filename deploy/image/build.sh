#!/usr/bin/env bash
# Builds the images `worker` and `dashboard` (one content, two commands) and measures them: build.sh [--dry-run|--archives] [worker|full]
# `full` has the toolchains of Rust, Node, Python and Go. CODETEAM_BINARY names a binary that is built already, CONTAINER_ENGINE docker or
# buildah; SNAPSHOT and DEBIAN_MIRROR are those of rootfs.sh. --archives ends before the engine: what the layers are made of lies in
# target/image/context/ then. Prints the tags as its last line: NAME=TAG for each image.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The most that `worker` may weigh, compressed as a registry keeps it.
limit_bytes=100000000

say() { echo "image: $*" >&2; }
fail() { say "$*"; exit 1; }
usage() { say "usage: deploy/image/build.sh [--dry-run|--archives] [worker|full]"; exit 2; }
dry='' archives='' variant=worker
for argument in "$@"; do
    case $argument in
        --dry-run) dry=1 ;;
        --archives) archives=1 ;;
        worker | full) variant=$argument ;;
        *) usage ;;
    esac
done
run() {
    if [ -n "$dry" ]; then echo "would run: $*"; else "$@"; fi
}

[ "$(uname -s)" = Linux ] || fail "images are built on Linux: let the workflow .github/workflows/deploy.yml do it"
engine=${CONTAINER_ENGINE:-}
[ -z "$archives" ] || engine=none
if [ -z "$engine" ]; then
    if command -v docker >/dev/null && docker info >/dev/null 2>&1; then engine=docker; else engine=buildah; fi
fi
[[ $engine = docker || $engine = buildah || -n $archives ]] || fail "CONTAINER_ENGINE is \"$engine\": expected docker or buildah"
if [ -z "$archives" ] && ! command -v "$engine" >/dev/null; then
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || fail "$engine is missing (on Debian and Ubuntu: sudo apt-get install $engine)"
    say "installing buildah with apt-get"
    run apt-get update -qq && DEBIAN_FRONTEND=noninteractive run apt-get install -y -qq --no-install-recommends buildah
fi
binary=${CODETEAM_BINARY:-target/release/codeteam}
[ -n "${CODETEAM_BINARY:-}" ] || command -v cargo >/dev/null || fail "cargo is missing: https://rustup.rs, or name a binary with CODETEAM_BINARY"

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
revision=${GITHUB_SHA:-$(git rev-parse HEAD)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct "$revision" 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
changed=$(git status --porcelain --untracked-files=no 2>/dev/null | grep -q . && echo -changed || true)
suffix=$([ "$variant" = worker ] || echo -full)
tag=${TAG:-$version-${revision:0:12}$changed$suffix}

[ -n "${CODETEAM_BINARY:-}" ] || run cargo build --release --locked --package codeteam
folder=target/image
rootfs=$folder/$variant.tar
run mkdir -p "$folder"
# Of today, so that security updates come in, and not for every build anew.
if [ -n "$(find "$rootfs" -newer deploy/image/rootfs.sh -mmin -1440 2>/dev/null)" ] && [ -z "${SNAPSHOT:-}" ]; then
    say "$rootfs is of today"
else
    # Its own time: that of the recipe.
    run env -u SOURCE_DATE_EPOCH deploy/image/rootfs.sh "$variant" "$rootfs"
fi

# Codeteam itself, and what is beside it in every image.
run rm -rf "$folder/files" "$folder/context"
run mkdir -p "$folder/context"
run install -D -m 755 "$binary" "$folder/files/usr/bin/codeteam"
run install -D -m 755 deploy/image/alive "$folder/files/usr/bin/alive"
run install -D -m 644 deploy/image/rds-us-east-1.pem "$folder/files/etc/codeteam/rds.pem"
run install -D -m 644 LICENSE "$folder/files/usr/share/doc/codeteam/copyright"
run tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --file "$folder/context/codeteam.tar" --directory "$folder/files" usr etc
run ln "$rootfs" "$folder/context/rootfs.tar"

if [ -z "$dry" ]; then
    needs=$(grep -ao 'GLIBC_2\.[0-9]*' "$binary" | sort -uV | tail -1 | sed 's/GLIBC_//')
    has=$(sed -n 's/^libc6 \([0-9.]*\).*/\1/p' "$folder/$variant.packages")
    [ "$(printf '%s\n%s\n' "$needs" "$has" | sort -V | tail -1)" = "$has" ] ||
        fail "$binary needs glibc $needs, the image has $has: build it on an older system, such as Ubuntu 24.04 or Debian 13"
    compressed() { gzip -6 --no-name --stdout "$1" | wc -c; }
    packages_bytes=$(compressed "$rootfs") codeteam_bytes=$(compressed "$folder/context/codeteam.tar")
    total_bytes=$((packages_bytes + codeteam_bytes))
    say "$variant: $total_bytes bytes compressed with gzip -6 (packages $packages_bytes, codeteam $codeteam_bytes)"
    if [ "$variant" = worker ] && [ "$total_bytes" -gt "$limit_bytes" ]; then
        fail "that is more than $limit_bytes: du -x --max-depth=4 on the unpacked $rootfs says what has grown"
    fi
fi

[ -z "$archives" ] || { echo "worker=$tag dashboard=$tag"; exit 0; }

labels=(
    --label org.opencontainers.image.title=codeteam --label "org.opencontainers.image.description=A self-hosted team of AI coding workers"
    --label "org.opencontainers.image.version=$version" --label "org.opencontainers.image.revision=$revision"
    --label org.opencontainers.image.licenses=Apache-2.0
)
[ -z "${GITHUB_REPOSITORY:-}" ] || labels+=(--label "org.opencontainers.image.source=${GITHUB_SERVER_URL:-https://github.com}/$GITHUB_REPOSITORY")
options=(--file deploy/image/Containerfile)
if [ "$engine" = buildah ]; then
    # vfs and chroot work everywhere, also within a container. A layer for each archive, and times of files as they are in there: Python
    # would compile anew what is older or younger than it was.
    export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs} BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
    options+=(--format docker --layers --quiet)
else
    options+=(--build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" --quiet)
fi
for name in worker dashboard; do
    run "$engine" build "${options[@]}" "${labels[@]}" --target "$name" --tag "$name:$tag" "$folder/context" >&2
done
say "built by $engine: worker:$tag and dashboard:$tag"
echo "worker=$tag dashboard=$tag"
