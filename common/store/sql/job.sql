-- $1 job
select job_id, created_at, repository, remote, kind, mode, model, trigger as "trigger: Json<Trigger>", input as "input: Json<JobInput>",
       caps as "caps: Json<Caps>", retry_of, base_commit, finished_at, outcome_detail as "outcome_detail: Json<Outcome>", links,
       steps, tokens, cost_microusd, active_ms
from jobs
where job_id = $1
