#!/usr/bin/env bash
# Runs a command in an unpacked root as a container would, as its process 1: enter.sh [--bind FOLDER]... ROOT COMMAND...
# A bound folder is there under its own path. Mounts are this command's alone and go with it. Needs root.
set -euo pipefail
folders=()
while [ "${1:-}" = --bind ]; do
    folders+=("$2")
    shift 2
done
[ $# -ge 2 ] || { echo "usage: enter.sh [--bind FOLDER]... ROOT COMMAND..." >&2; exit 2; }
root=$1
shift
# shellcheck disable=SC2016 # these words are for the inner shell
exec unshare --mount --pid --fork --kill-child bash -c '
    set -eu
    root=$1 count=$2
    shift 2
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    for folder in "${@:1:count}"; do
        mkdir -p "$root$folder"
        mount --bind "$folder" "$root$folder"
    done
    shift "$count"
    exec chroot "$root" "$@"
' enter "$root" "${#folders[@]}" ${folders[@]+"${folders[@]}"} "$@"
