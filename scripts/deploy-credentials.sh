#!/usr/bin/env bash
# In GitHub Actions: takes the role AWS_ROLE_ARN by the run's own identity (OpenID Connect), for an hour, and tells the next steps where the
# credentials lie. They are in a file that only this user reads, never in a variable or an argument.
set -euo pipefail
say() { echo "credentials: $*" >&2; }
fail() {
    say "$*"
    exit 1
}
[ -n "${AWS_ROLE_ARN:-}" ] || fail "AWS_ROLE_ARN is not set: a variable of GitHub's environment (docs/operating.md, \"Deploying from GitHub\")"
[ -n "${ACTIONS_ID_TOKEN_REQUEST_URL:-}" ] || fail "this run has no identity: it needs \`id-token: write\` among its permissions"
for tool in aws curl python3; do
    command -v "$tool" >/dev/null || fail "$tool is missing"
done

umask 077
folder=$(mktemp -d "${RUNNER_TEMP:-/tmp}/aws-XXXXXX")
printf 'header = "Authorization: bearer %s"\nurl = "%s&audience=sts.amazonaws.com"\n' "$ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL" |
    curl --silent --show-error --fail --retry 3 --max-time 30 --config - |
    python3 -c 'import json, sys; sys.stdout.write(json.load(sys.stdin)["value"])' >"$folder/token"
aws sts assume-role-with-web-identity --no-sign-request --region us-east-1 --role-arn "$AWS_ROLE_ARN" --role-session-name "github-${GITHUB_RUN_ID:-run}" \
    --web-identity-token "file://$folder/token" --duration-seconds 3600 --query Credentials --output json |
    python3 -c '
import json, sys
taken = json.load(sys.stdin)
print("[default]\naws_access_key_id =", taken["AccessKeyId"])
print("aws_secret_access_key =", taken["SecretAccessKey"])
print("aws_session_token =", taken["SessionToken"])' >"$folder/credentials"
rm "$folder/token"
echo "AWS_SHARED_CREDENTIALS_FILE=$folder/credentials" >>"${GITHUB_ENV:?}"
say "$AWS_ROLE_ARN is taken for an hour"
