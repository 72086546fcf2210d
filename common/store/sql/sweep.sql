-- $1 most attempts, $2 base of the backoff in seconds, $3 most of it, $4 now (null = the database's clock)
-- A lease that ran out goes back: the first loss at once, further ones with exponential backoff and full
-- jitter; after the last attempt the job is only finalized. Raising the epoch locks the old owner out.
with expired as (
    select job_id, owner
    from queue
    where state = 'leased' and lease_until <= coalesce($4, now())
    order by job_id
    for update skip locked
), swept as (
    update queue
    set state = case when waiting_for = 'triage' and attempt < $1 then 'waiting' else 'ready' end,
        waiting_for = case when attempt < $1 then waiting_for end,
        mode = case when attempt >= $1 then coalesce(mode, 'mechanic') else mode end,
        epoch = epoch + 1,
        owner = null,
        lease_until = null,
        outcome_pending = case when attempt >= $1 then coalesce(outcome_pending,
            jsonb_build_object('outcome', 'dead', 'cause', format('its worker was lost %s times without progress', attempt)))
            else outcome_pending end,
        run_at = coalesce($4, now()) + make_interval(secs => case when attempt <= 1 or cancel_requested then 0
            else random() * least($3, $2 * power(2, least(attempt, 30) - 1)) end),
        event_seq = event_seq + 1
    from expired
    where queue.job_id = expired.job_id
    returning queue.job_id, expired.owner, queue.attempt, queue.event_seq
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'lease_expired', jsonb_build_object('owner', owner, 'attempt', attempt)
    from swept
)
select job_id from swept
