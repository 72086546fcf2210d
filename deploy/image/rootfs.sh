#!/usr/bin/env bash
# Makes the root filesystem of an image out of Debian's packages, without codeteam itself: rootfs.sh worker|full FILE.tar
# Beside FILE.tar goes FILE.packages, the exact version of everything in it. With the same versions the archive is the same to the byte:
# SNAPSHOT=20261121T000000Z takes all packages as they were at that moment, and so builds an old image again.
# Needs Debian or Ubuntu, as root or with user namespaces; what is missing is installed where that is possible.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

say() { echo "rootfs: $*" >&2; }
variant=${1:-} archive=${2:-}
[ $# = 2 ] && [[ $variant = worker || $variant = full ]] && [[ $archive = *.tar ]] || { say "usage: rootfs.sh worker|full FILE.tar"; exit 2; }

# Stable, so that what was linked on the machine that builds finds a C library that is not older than its own.
suite=trixie
keys=/usr/share/keyrings/debian-archive-keyring.gpg
# What codeteam itself calls, what tasks in most repositories want, and the pooler of the deployment, which is this image too.
packages=(bash ca-certificates diffutils git libcares2 libevent-2.1-7t64 make patch python3)
[ "$variant" = worker ] || packages+=(build-essential cargo golang-go nodejs npm pkg-config python3-dev python3-pip python3-venv rust-clippy rustc rustfmt)

missing=()
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
[ -e "$keys" ] || missing+=(debian-archive-keyring)
if [ ${#missing[@]} -gt 0 ]; then
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        say "installing ${missing[*]} with apt-get"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        say "${missing[*]} is missing (on Debian and Ubuntu: sudo apt-get install ${missing[*]})"
        exit 1
    fi
fi

# The last change to the recipe, so that an image with new code and old packages shares this layer with the one before.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$here" log -1 --format=%ct -- . 2>/dev/null || true)
fi
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1767225600}

if [ -n "${SNAPSHOT:-}" ]; then
    mirror=http://snapshot.debian.org/archive
    debian=$mirror/debian/$SNAPSHOT security=$mirror/debian-security/$SNAPSHOT
else
    mirror=${DEBIAN_MIRROR:-http://deb.debian.org}
    debian=$mirror/debian security=$mirror/debian-security
fi
sources="deb [signed-by=$keys] $debian $suite main
deb [signed-by=$keys] $debian $suite-updates main
deb [signed-by=$keys] $security $suite-security main"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Runs at the end, with the tree as $1.
cat >"$work/finish" <<'FINISH'
set -eu
root=$1
# PgBouncer alone: it asks for postgresql-common, which would bring 20 packages more, and a key pair that is made while it is installed.
(cd "$root/tmp" && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get download --quiet pgbouncer >/dev/null)
chroot "$root" sh -c 'dpkg --force-depends --unpack /tmp/pgbouncer_*.deb >/dev/null 2>&1 && rm /tmp/pgbouncer_*.deb'
sed -i 's/^Status: install ok unpacked$/Status: install ok installed/' "$root/var/lib/dpkg/status"
rm -rf "$root/etc/pgbouncer" "$root"/etc/*/pgbouncer*
# The service's user: the one that common/config/src/root.rs looks for. Slots' users are numbers and need no entry.
echo 'codeteam:x:63487:63487:AI Code Team:/var/lib/codeteam:/usr/sbin/nologin' >>"$root/etc/passwd"
echo 'codeteam:x:63487:' >>"$root/etc/group"
# Slots' users pass through these and see nothing else in them.
install -d -m 711 -o 63487 -g 63487 "$root/var/lib/codeteam" "$root/var/cache/codeteam"
mkdir -p "$root/usr/share/codeteam"
dpkg-query --admindir="$root/var/lib/dpkg" --show --showformat '${Package} ${Version} ${Architecture}\n' | LC_ALL=C sort >"$root/usr/share/codeteam/packages"
# Nobody in here becomes anybody by a program of the system.
find "$root" -xdev -type f -perm /6000 -exec chmod a-s {} +
# What the machine that builds has put in, and what differs from build to build.
rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root/etc/machine-id" "$root/var/cache/ldconfig/aux-cache"
rm -rf "$root"/var/log/* "$root"/var/cache/debconf/* "$root"/var/lib/dpkg/*-old "$root"/etc/*-
FINISH

export TMPDIR=${TMPDIR:-/tmp}
mkdir -p "$(dirname "$archive")"
options=(
    --variant=essential --skip=output/dev --include="$(IFS=,; echo "${packages[*]}")" --quiet --format=tar
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' --aptopt='Acquire::Check-Valid-Until "false"'
    # Licences stay: their texts have to go with the programs.
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright'
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*'
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/i18n/*'
    --dpkgopt='path-exclude=/usr/share/lintian/*' --dpkgopt='path-exclude=/usr/share/bug/*'
    --customize-hook="sh $work/finish \"\$1\""
    --customize-hook="copy-out /usr/share/codeteam/packages $work"
)
say "Debian $suite, ${packages[*]}"
if ! mmdebstrap "${options[@]}" "$suite" "$work/rootfs.tar" "$sources"; then
    say "mmdebstrap failed, with packages from $debian and $security"
    exit 1
fi
mv "$work/packages" "${archive%.tar}.packages"
mv "$work/rootfs.tar" "$archive"
say "$archive: $(wc -l <"${archive%.tar}.packages") packages"
