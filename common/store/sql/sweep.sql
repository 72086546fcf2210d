-- $1 most attempts of a mechanic, $2 of a genius, $3 base of the backoff in seconds, $4 most of it, $5 now (null = the database's clock)
-- A lease that ran out goes back: the first loss at once, further ones with a pause; after the last attempt the job is
-- only finalized. Raising the epoch locks the old owner out.
with expired as (
    select job_id, owner
    from queue
    where state = 'leased' and lease_until <= coalesce($5, now())
    order by job_id
    for update skip locked
), swept as (
    update queue
    set (state, waiting_for, mode, outcome_pending, run_at) = (
            select follows.state, follows.waiting_for, follows.mode, follows.outcome_pending, follows.run_at
            from after_attempt(
                attempt >= case when queue.mode = 'genius' then $2::int else $1::int end,
                format('its worker was lost %s times without progress', attempt),
                coalesce($5, now()) + case when attempt <= 1 then interval '0' else backoff(attempt, $3, $4) end,
                coalesce($5, now()), queue.mode, queue.waiting_for, cancel_requested, queue.outcome_pending
            ) as follows
        ),
        epoch = epoch + 1,
        owner = null,
        lease_until = null,
        event_seq = event_seq + 1
    where job_id = any(array(select job_id from expired))
    returning job_id, attempt, event_seq
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'lease_expired', jsonb_build_object('owner', owner, 'attempt', attempt)
    from swept
    join expired using (job_id)
)
select job_id from swept
