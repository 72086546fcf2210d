#!/usr/bin/env bash
# Takes an environment away: deploy-destroy.sh dev|prod [--dry-run]. Asks first; prod wants a whole sentence.
# What stays: the images, the keys and other secrets that people put in, the encryption key, a last snapshot and the backups of the database.
set -euo pipefail
cd "$(dirname "$0")/.."
command_name=destroy dry=
# shellcheck source=scripts/deploy-names.sh
. scripts/deploy-names.sh

how='make destroy ENV=dev (or prod; ARGS=--dry-run says what it would do)'
only_environment "$how" "$@"
need_aws
[ -n "$dry" ] || all_needed
log_in
[ -n "$(stack_status there)" ] || fail "there is no stack $stack in account $account"

say "this takes away $stack in account $account: services, load balancer, network, database, queues, alarms, logs"
say "what stays: a last snapshot and the backups of the database, the images in ECR, the key alias/ai-coding-team-$environment, and the secrets"
say "that people put in; docs/operating.md (\"Taking it away\") says how to delete those too"
sentence=$stack
[ "$environment" = dev ] || sentence="destroy prod in $account"
printf 'Type "%s" to go on: ' "$sentence" >&2
read -r typed || typed=
[ "$typed" = "$sentence" ] || fail "that is not \"$sentence\": nothing was changed"

if [ "$environment" = prod ]; then
    # In prod both are protected against exactly this.
    run aws rds modify-db-instance --db-instance-identifier "$stack" --no-deletion-protection --apply-immediately --query DBInstance.DBInstanceIdentifier --output text
    balancer=$(ask BALANCER aws elbv2 describe-load-balancers --names "$stack" --query 'LoadBalancers[0].LoadBalancerArn' --output text)
    run aws elbv2 modify-load-balancer-attributes --load-balancer-arn "$balancer" --attributes Key=deletion_protection.enabled,Value=false --query Attributes[0].Key --output text
fi
# Services go first in there: each worker is asked to end and gives its jobs back.
run aws cloudformation delete-stack --stack-name "$stack"
run aws cloudformation wait stack-delete-complete --stack-name "$stack"
say "done"
