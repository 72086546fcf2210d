-- $1 job, $2 epoch, $3 kind, $4 mode, $5 reason, $6 input or null where it stays as it is
-- What a model was asked meanwhile counts for the mode that the job has from now on.
with passed as (
    update queue
    set state = 'ready', mode = $4, waiting_for = null, owner = null, lease_until = null,
        outcome_pending = case when cancel_requested then coalesce(outcome_pending, '{"outcome": "stopped"}') else outcome_pending end,
        attempt = 0, retrying_since = null, epoch = epoch + 1, run_at = now(), event_seq = event_seq + 1
    where job_id = $1 and epoch = $2 and state = 'leased'
    returning job_id, lane, event_seq
), decided as (
    update jobs set kind = $3, mode = $4, input = coalesce($6, input) from passed where jobs.job_id = passed.job_id
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'triaged', jsonb_build_object('kind', $3::text, 'mode', $4::text, 'reason', $5::text) from passed
)
select job_id from passed cross join lateral move_spend(job_id, lane, null, $4)
