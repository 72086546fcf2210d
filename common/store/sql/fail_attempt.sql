-- $1 job, $2 epoch, $3 cause, $4 most attempts of a mechanic, $5 of a genius, $6 base of the backoff in seconds, $7 most of it
-- An attempt that failed. After the last one the job is only finalized: with the outcome that is decided
-- already, or as dead.
with failed as (
    update queue
    set (state, waiting_for, mode, outcome_pending, run_at) = (
            select follows.state, follows.waiting_for, follows.mode, follows.outcome_pending, follows.run_at
            from after_attempt(
                attempt >= case when queue.mode = 'genius' then $5::int else $4::int end, $3::text, now() + backoff(attempt, $6, $7),
                now(), queue.mode, queue.waiting_for, cancel_requested, queue.outcome_pending
            ) as follows
        ),
        epoch = epoch + 1,
        owner = null,
        lease_until = null,
        event_seq = event_seq + 1
    where job_id = $1 and epoch = $2 and state = 'leased'
    returning job_id, attempt, run_at, event_seq
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'attempt_failed', jsonb_build_object('cause', $3::text, 'attempt', attempt, 'run_at', run_at)
    from failed
)
select attempt from failed
