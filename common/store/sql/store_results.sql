-- $1 job, $2 epoch, $3 step_no, $4 results, $5 tree, $6 pack, $7 duration_ms, $8 event data
-- Leased is said by `lease_until`: by `state` the planner looks through all leased rows, as long as they are few.
with fenced as (
    update queue
    set step_no = $3,
        attempt = 0,
        retrying_since = null,
        active_ms = active_ms + $7,
        event_seq = event_seq + 1
    where job_id = $1 and epoch = $2 and lease_until is not null
    returning job_id, event_seq, tokens, cost_microusd, active_ms
), stored as (
    insert into steps (job_id, step_no, half, epoch, duration_ms, results, tree, pack)
    select job_id, $3, 'results', $2, $7, $4, $5, $6 from fenced
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'tools_ran', $8 from fenced
)
select event_seq, tokens, cost_microusd, active_ms from fenced
