#!/usr/bin/env bash
# Takes one service back to an earlier revision of its task definition: deploy-rollback.sh dev|prod SERVICE REVISION [--dry-run]
# Without a revision it lists those that there are. Tables stay as they are: a migration lets the release before go on working.
set -euo pipefail
cd "$(dirname "$0")/.."
command_name=rollback dry=
# shellcheck source=scripts/deploy-names.sh
. scripts/deploy-names.sh

how="make rollback SERVICE=dashboard REVISION=41 (ENV=dev, else prod; SERVICE one of ${services[*]}; no REVISION lists them)"
read_words "$how" "$@"
[ ${#words[@]} -ge 2 ] && [ ${#words[@]} -le 3 ] || usage "$how"
choose_environment "${words[0]}"
service=${words[1]} revision=${words[2]:-}
[[ " ${services[*]} " = *" $service "* ]] || fail "there is no service \"$service\": ${services[*]}"
[[ $revision =~ ^[0-9]*$ ]] || fail "REVISION is \"$revision\": expected the number behind the colon, such as 41"
need_aws
[ -n "$dry" ] || all_needed
log_in
family=$service$suffix

if [ -z "$revision" ]; then
    say "$service runs $(ask "$family:?" aws ecs describe-services --cluster "$cluster" --services "$service" --query 'services[0].taskDefinition' --output text)"
    for arn in $(ask '' aws ecs list-task-definitions --family-prefix "$family" --sort DESC --max-items 10 --query 'taskDefinitionArns' --output text); do
        [[ $arn = arn:* ]] || continue
        echo "${arn##*/} $(aws ecs describe-task-definition --task-definition "$arn" --query 'taskDefinition.[containerDefinitions[0].image, registeredAt]' --output text)"
    done
    say "$how"
    exit 0
fi

ask '' aws ecs describe-task-definition --task-definition "$family:$revision" --query taskDefinition.revision --output text >/dev/null ||
    fail "there is no $family:$revision: without REVISION this lists those that there are"
run aws ecs update-service --cluster "$cluster" --service "$service" --task-definition "$family:$revision" --query 'service.deployments[0].rolloutState' --output text
run aws ecs wait services-stable --cluster "$cluster" --services "$service"
say "$service runs $family:$revision; the next \`make deploy\` sets it again"
