# What the commands of a deployment share; sourced by the others: names (as in template.yaml), checks, and what a dry run prints.
# shellcheck shell=bash disable=SC2034,SC2154 # the names are for whoever sources this, and command_name comes from there

# The architecture fixes the region.
region=us-east-1
services=(dashboard mechanic-worker genius-worker)

say() { echo "$command_name: $*" >&2; }
fail() {
    say "$*"
    exit 1
}
usage() {
    say "usage: $1"
    exit 2
}

# Sets what depends on the environment: dev has names of its own, so that both fit into one account.
choose_environment() {
    environment=$1 stack=ai-coding-team-$1 suffix=
    case $environment in
        prod) cluster=ai-coding-team ;;
        dev) cluster=ai-coding-team-dev suffix=-dev ;;
        *) fail "there is no environment \"$environment\": dev or prod" ;;
    esac
}

# Sets `dry` where --dry-run is among ARGUMENTS, and `words` to what is no option: read_words HOW ARGUMENTS.
read_words() {
    local how=$1 argument
    shift
    words=()
    for argument in "$@"; do
        case $argument in
            --dry-run) dry=1 ;;
            -*) usage "$how" ;;
            *) words+=("$argument") ;;
        esac
    done
}

# Of a command that takes one environment and --dry-run, and nothing else: only_environment HOW ARGUMENTS.
only_environment() {
    read_words "$@"
    [[ ${#words[@]} -eq 1 && -n ${words[0]} ]] || usage "$1"
    choose_environment "${words[0]}"
}

# `need TOOL HOW`: every tool that is missing is named, with what installs it, before anything is done.
missing_tools=()
need() {
    command -v "$1" >/dev/null || missing_tools+=("$1 is missing: $2")
}
need_aws() { need aws "pip install awscli, or https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"; }
need_sam() { need sam "pip install aws-sam-cli==1.170.0, or \`make tools\` and .tools/aws-emulators/bin on PATH"; }
all_needed() {
    [ ${#missing_tools[@]} = 0 ] || {
        printf "$command_name: %s\n" "${missing_tools[@]}" >&2
        exit 1
    }
}

# Changes something, or says in a dry run what it would change. Questions are asked with `ask`, which a dry run answers by its first word.
run() {
    if [ -n "$dry" ]; then
        printf 'would run:'
        printf ' %q' "$@"
        echo
    else
        "$@"
    fi
}
ask() {
    local in_a_dry_run=$1
    shift
    if [ -n "$dry" ]; then
        printf 'would ask:' >&2
        printf ' %q' "$@" >&2
        echo >&2
        echo "$in_a_dry_run"
    else
        "$@"
    fi
}

# Who one is at AWS, and that the region is the right one.
log_in() {
    local asked=${AWS_REGION:-${AWS_DEFAULT_REGION:-$region}}
    [ "$asked" = "$region" ] || fail "AWS_REGION is $asked: the architecture is for $region alone, so unset it"
    export AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_PAGER=
    account=$(ask 000000000000 aws sts get-caller-identity --query Account --output text) ||
        fail "AWS does not know you: \`aws sso login\`, or set AWS_PROFILE"
    registry=$account.dkr.ecr.$region.amazonaws.com
}

# The state of the stack; empty = there is none.
stack_status() {
    ask "${1:-}" aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].StackStatus' --output text 2>/dev/null || true
}
stack_output() {
    ask "($1)" aws cloudformation describe-stacks --stack-name "$stack" --output text --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue"
}

# Runs a task once in the place of the service `dashboard`, and waits for its end: start_task DEFINITION [OVERRIDES]; sets task and ended,
# which begins with the exit code.
start_task() {
    local network
    network=$(aws ecs describe-services --cluster "$cluster" --services dashboard --query 'services[0].networkConfiguration' --output json)
    task=$(aws ecs run-task --cluster "$cluster" --task-definition "$1" --launch-type FARGATE --started-by "$command_name" \
        --network-configuration "$network" ${2:+--overrides "$2"} --query 'tasks[0].taskArn' --output text)
    [ "$task" != None ] || fail "ECS started no task of $1: aws ecs run-task says why"
    say "task ${task##*/}"
    aws ecs wait tasks-stopped --cluster "$cluster" --tasks "$task"
    ended=$(aws ecs describe-tasks --cluster "$cluster" --tasks "$task" --query 'tasks[0].[containers[0].exitCode, stoppedReason]' --output text)
}
