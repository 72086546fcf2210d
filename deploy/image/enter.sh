#!/usr/bin/env bash
# Runs a command in an unpacked root as a container of the deployment would, as its process 1:
#   enter.sh [--task] [--bind FOLDER]... ROOT COMMAND...
# A bound folder is there under its own path. --task is what deploy/services.yaml says of a task: nothing can be written but the bound
# folders and /data, which is a fresh volume, and of root's rights those are left that a container has less those that the task gives up.
# Mounts are this command's alone and go with it. Needs root.
set -euo pipefail
task='' folders=()
while [[ ${1:-} = --* ]]; do
    case $1 in
        --task) task=1 ;;
        --bind) folders+=("$2"); shift ;;
        *) set -- ;;
    esac
    shift || break
done
[ $# -ge 2 ] || { echo "usage: enter.sh [--task] [--bind FOLDER]... ROOT COMMAND..." >&2; exit 2; }
root=$1
shift
# shellcheck disable=SC2016 # these words are for the inner shell
exec unshare --mount --pid --fork --kill-child bash -c '
    set -eu
    root=$1 task=$2 count=$3
    shift 3
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    for folder in "${@:1:count}"; do
        mkdir -p "$root$folder"
        mount --bind "$folder" "$root$folder"
    done
    shift "$count"
    if [ -n "$task" ]; then
        mkdir -p "$root/data"
        mount -t tmpfs -o mode=755 data "$root/data"
        mount -o remount,bind,ro "$root"
        set -- setpriv --inh-caps=-all --bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setpcap,+setuid "$@"
    fi
    exec chroot "$root" "$@"
' enter "$root" "$task" "${#folders[@]}" ${folders[@]+"${folders[@]}"} "$@"
