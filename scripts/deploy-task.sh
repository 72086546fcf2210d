#!/usr/bin/env bash
# Runs one command of codeteam where the services are, since nobody else can reach the database, and prints what it says:
#   deploy-task.sh dev|prod [--dry-run] [--forget] ledger verify
# It is a task of its own, with the image, role and settings of the service `dashboard`. What it prints is also in the log; --forget takes it out.
set -euo pipefail
cd "$(dirname "$0")/.."
command_name=task dry='' forget=''
# shellcheck source=scripts/deploy-names.sh
. scripts/deploy-names.sh

how='make task ENV=prod RUN="ledger verify" (or dev; ARGS=--forget takes what it prints out of the log again)'
[ $# -ge 1 ] || usage "$how"
environment=$1
shift
while [[ ${1:-} = --* ]]; do
    case $1 in
        --dry-run) dry=1 ;;
        --forget) forget=1 ;;
        *) usage "$how" ;;
    esac
    shift
done
[ $# -ge 1 ] || usage "$how"
choose_environment "$environment"
need python3 "your system's package manager has it"
need_aws
[ -n "$dry" ] || all_needed
log_in

overrides=$(python3 -c 'import json, sys; print(json.dumps({"containerOverrides": [{"name": "dashboard", "command": sys.argv[1:]}]}))' "$@")
if [ -n "$dry" ]; then
    run aws ecs run-task --cluster "$cluster" --task-definition "that of dashboard" --launch-type FARGATE --overrides "$overrides"
    exit 0
fi
# Just what the service runs, which after a rollback is not the newest.
definition=$(aws ecs describe-services --cluster "$cluster" --services dashboard --query 'services[0].taskDefinition' --output text)
[ "$definition" != None ] || fail "there is no service dashboard in the cluster $cluster: \`make deploy ENV=$environment\` comes first"
start_task "$definition" "$overrides"
log=(--log-group-name "/ai-coding-team/$environment/dashboard" --log-stream-name "dashboard/dashboard/${task##*/}")
aws logs get-log-events "${log[@]}" --start-from-head --query 'events[].message' --output text | tr '\t' '\n'
[ -z "$forget" ] || aws logs delete-log-stream "${log[@]}"
code=${ended%%[[:space:]]*}
[[ $code =~ ^[0-9]+$ ]] || fail "the task did not run: $ended"
exit "$code"
