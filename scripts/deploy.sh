#!/usr/bin/env bash
# Deploys one environment: deploy.sh dev|prod [--dry-run]
# Ground (network, database, repositories, secrets; the first time) -> images -> migrations -> services. Every step may be run again.
#   PARAMETERS="DomainName=team.example.com NotificationEmail=you@example.com"   parameters of template.yaml; what is not named stays as it is
#   CLOUDFORMATION_ROLE=arn:…   the role that CloudFormation works as, where whoever deploys has few rights (deploy/github/roles.yaml)
#   VARIANT=full   images with the toolchains of Rust, Node, Python and Go       TAG=…   images that are in ECR already are not built again
set -euo pipefail
cd "$(dirname "$0")/.."
command_name=deploy dry=
# shellcheck source=scripts/deploy-names.sh
. scripts/deploy-names.sh

how='make deploy ENV=dev (or prod; ARGS=--dry-run says what it would do)'
only_environment "$how" "$@"
variant=${VARIANT:-worker}
[[ $variant = worker || $variant = full ]] || fail "VARIANT is \"$variant\": expected worker or full"
read -r -a parameters <<<"${PARAMETERS:-}"
for parameter in ${parameters[@]+"${parameters[@]}"}; do
    [[ $parameter =~ ^[A-Za-z]+=[^[:space:]]*$ ]] || fail "PARAMETERS has \"$parameter\": expected Name=value"
    [[ ! $parameter =~ ^(Environment|Phase|DashboardTag|WorkerTag)= ]] || fail "PARAMETERS has ${parameter%%=*}, which this command sets itself"
done

need git "your system's package manager has it"
need python3 "your system's package manager has it"
need_aws
need_sam
[ -n "$dry" ] || all_needed
# What is deployed must be found again by its commit.
if [ "$environment" = prod ] && [ -z "${TAG:-}" ] && [ -n "$(git status --porcelain --untracked-files=no)" ]; then
    if [ -z "$dry" ]; then fail "there are changes that are not committed: prod gets commits alone"; fi
    say "a real run would stop here: there are changes that are not committed, and prod gets commits alone"
fi
log_in
say "$stack in account $account, $region"

deploy_stack() {
    run env SAM_CLI_TELEMETRY=0 sam deploy --template-file template.yaml --stack-name "$stack" --region "$region" --resolve-s3 \
        --s3-prefix "$stack" --capabilities CAPABILITY_IAM CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND --no-confirm-changeset \
        --no-fail-on-empty-changeset ${CLOUDFORMATION_ROLE:+--role-arn "$CLOUDFORMATION_ROLE"} --tags "Project=ai-coding-team" "Environment=$environment" \
        --parameter-overrides "Environment=$environment" "$@" ${parameters[@]+"${parameters[@]}"}
}

tags=(DashboardTag=latest WorkerTag=latest)
status=$(stack_status)
case $status in
    "" | REVIEW_IN_PROGRESS)
        say "1. the ground, since there is no stack yet: nothing runs before there are images and tables"
        deploy_stack Phase=ground "${tags[@]}"
        ;;
    *_IN_PROGRESS) fail "$stack is $status: wait until that has ended" ;;
    ROLLBACK_COMPLETE | DELETE_FAILED | *ROLLBACK_FAILED) fail "$stack is $status: docs/operating.md says what to do (\"A deploy that failed\")" ;;
    *) say "1. the ground is there ($status)" ;;
esac

say "2. images"
tag=${TAG:-}
if [ -z "$tag" ]; then
    built=$(deploy/image/build.sh ${dry:+--dry-run} "$variant" | tee /dev/stderr | tail -1)
    # Both are one content; their tags are the same.
    tag=${built#worker=}
    tag=${tag%% *}
fi
engine=${CONTAINER_ENGINE:-}
if [ -z "$engine" ]; then
    if command -v docker >/dev/null && docker info >/dev/null 2>&1; then engine=docker; else engine=buildah; fi
fi
[ "$engine" = docker ] || export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}
log_into_registry() { aws ecr get-login-password --region "$region" | "$engine" login --username AWS --password-stdin "$registry"; }
logged_in=
for name in dashboard worker; do
    repository=$name$suffix
    if [ -z "$dry" ] && aws ecr describe-images --repository-name "$repository" --image-ids "imageTag=$tag" >/dev/null 2>&1; then
        say "$repository:$tag is in ECR already"
        continue
    fi
    [ -z "${TAG:-}" ] || [ -n "$dry" ] || fail "there is no $repository:$tag in ECR: leave TAG out to build one"
    [ -n "$logged_in" ] || run log_into_registry
    logged_in=1
    # `latest` is for people; tasks name the tag that never moves.
    for to in "$tag" latest; do
        run "$engine" tag "$name:$tag" "$registry/$repository:$to"
        run "$engine" push "$registry/$repository:$to"
    done
done

# Before the services, and harmless to those that run: a migration lets the release before go on working.
say "3. migrations"
family=migrate$suffix
definition=$(mktemp)
trap 'rm -f "$definition"' EXIT
ask '{"containerDefinitions": [{}]}' aws ecs describe-task-definition --task-definition "$family" --query taskDefinition --output json |
    python3 -c '
import json, sys
task = json.load(sys.stdin)
for answered in ["taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy", "deregisteredAt"]:
    task.pop(answered, None)
task["containerDefinitions"][0]["image"] = sys.argv[1]
json.dump(task, sys.stdout)' "$registry/dashboard$suffix:$tag" >"$definition"
if [ -n "$dry" ]; then
    run aws ecs register-task-definition --cli-input-json "file://$family with $registry/dashboard$suffix:$tag"
    run aws ecs run-task --cluster "$cluster" --task-definition "$family" --launch-type FARGATE --network-configuration "that of dashboard"
    run aws ecs wait tasks-stopped --cluster "$cluster" --tasks "that task"
else
    revision=$(aws ecs register-task-definition --cli-input-json "file://$definition" --query taskDefinition.taskDefinitionArn --output text)
    start_task "$revision"
    [ "${ended%%[[:space:]]*}" = 0 ] ||
        fail "the migration ended with $ended: aws logs tail /ai-coding-team/$environment/dashboard --log-stream-name-prefix migrate; nothing else was changed"
fi

say "4. services: dashboard and worker $tag"
deploy_stack Phase=running "DashboardTag=$tag" "WorkerTag=$tag"
# The template leaves the number of tasks alone, so a service that was made with none keeps none, and CPU scaling cannot count from that.
if [ "$(ask 1 aws ecs describe-services --cluster "$cluster" --services dashboard --query 'services[0].desiredCount' --output text)" = 0 ]; then
    run aws ecs update-service --cluster "$cluster" --service dashboard --desired-count 1 --query service.desiredCount --output text
fi
run aws ecs wait services-stable --cluster "$cluster" --services "${services[@]}"

empty=()
for secret in OPENAI_API_KEY ANTHROPIC_API_KEY GOOGLE_API_KEY GITHUB_APP_ID GITHUB_APP_PRIVATE_KEY GITHUB_WEBHOOK_SECRET; do
    # Asks whether there is a value, never for the value.
    versions=$(ask there aws secretsmanager list-secret-version-ids --secret-id "ai-coding-team/$environment/$secret" --query 'Versions[0].VersionId' --output text)
    [ "$versions" != None ] || empty+=("$secret")
done
[ ${#empty[@]} = 0 ] || say "not set yet: ${empty[*]} (docs/operating.md, \"Secrets\")"
say "done: $(stack_output Url)"
