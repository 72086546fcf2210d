-- $1 job, $2 epoch, $3 cause, $4 most attempts, $5 base of the backoff in seconds, $6 most of it
-- An attempt that failed. After the last one the job is only finalized: with the outcome that is decided
-- already, or as dead.
with failed as (
    update queue
    set state = case when waiting_for = 'triage' and attempt < $4 then 'waiting' else 'ready' end,
        waiting_for = case when attempt < $4 then waiting_for end,
        mode = case when attempt >= $4 then coalesce(mode, 'mechanic') else mode end,
        epoch = epoch + 1,
        owner = null,
        lease_until = null,
        outcome_pending = case when attempt >= $4
            then coalesce(outcome_pending, jsonb_build_object('outcome', 'dead', 'cause', $3::text))
            else outcome_pending end,
        run_at = now() + make_interval(secs => case
            when cancel_requested or attempt >= $4 then 0
            else random() * least($6, $5 * power(2, least(attempt, 30) - 1)) end),
        event_seq = event_seq + 1
    where job_id = $1 and epoch = $2 and state = 'leased'
    returning job_id, attempt, run_at, event_seq
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'attempt_failed', jsonb_build_object('cause', $3::text, 'attempt', attempt, 'run_at', run_at)
    from failed
)
select attempt from failed
