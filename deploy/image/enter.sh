#!/usr/bin/env bash
# Runs a command in an unpacked root as a container of the deployment would, as its process 1:
#   enter.sh [--bind FOLDER]... [--task] [--volume FOLDER]... ROOT COMMAND...
# A bound folder is there under its own path. --task is what deploy/services.yaml says of a task: nothing can be written but bound folders
# and volumes, which are fresh and root's, and of root's rights those are left that a container has less those that the task gives up.
# Mounts are this command's alone and go with it. Needs root.
set -euo pipefail
task='' folders=() volumes=()
while [[ ${1:-} = --* ]]; do
    case $1 in
        --task) task=1 ;;
        --bind) folders+=("$2"); shift ;;
        --volume) volumes+=("$2"); shift ;;
        *) set -- ;;
    esac
    shift || break
done
[ $# -ge 2 ] || { echo "usage: enter.sh [--bind FOLDER]... [--task] [--volume FOLDER]... ROOT COMMAND..." >&2; exit 2; }
root=$1
shift
# shellcheck disable=SC2016 # these words are for the inner shell
exec unshare --mount --pid --fork --kill-child bash -c '
    set -eu
    root=$1 task=$2 binds=$3 volumes=$4
    shift 4
    mount --make-rprivate /
    mkdir -p "$root/proc" "$root/dev"
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    for folder in "${@:1:binds}"; do
        mkdir -p "$root$folder"
        mount --bind "$folder" "$root$folder"
    done
    shift "$binds"
    for folder in "${@:1:volumes}"; do
        mkdir -p "$root$folder"
        mount -t tmpfs -o mode=755 volume "$root$folder"
    done
    shift "$volumes"
    if [ -n "$task" ]; then
        mount -o remount,bind,ro "$root"
        set -- setpriv --inh-caps=-all --bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setpcap,+setuid "$@"
    fi
    exec chroot "$root" "$@"
' enter "$root" "$task" "${#folders[@]}" "${#volumes[@]}" ${folders[@]+"${folders[@]}"} ${volumes[@]+"${volumes[@]}"} "$@"
