-- $1 owner, $2 alarm, $3 most attempts of a mechanic, $4 of a genius, $5 base of the backoff in seconds, $6 most of it
-- What follows is what follows a lease that ran out. Rows are locked by job, as renewals do.
with lost as (
    select job_id, outcome_pending is null as undecided
    from queue
    where state = 'leased' and owner = $1
    order by job_id
    for update
), taken as (
    update queue
    set (state, waiting_for, mode, outcome_pending, run_at) = (
            select follows.state, follows.waiting_for, follows.mode, follows.outcome_pending, follows.run_at
            from after_attempt(
                attempt >= case when queue.mode = 'genius' then $4::int else $3::int end,
                format('its worker was lost %s times without progress', attempt),
                now() + case when attempt <= 1 then interval '0' else backoff(attempt, $5, $6) end,
                now(), queue.mode, queue.waiting_for, cancel_requested, queue.outcome_pending
            ) as follows
        ),
        epoch = epoch + 1,
        owner = null,
        lease_until = null,
        event_seq = event_seq + 1
    where job_id = any(array(select job_id from lost))
    returning job_id, attempt, event_seq, outcome_pending
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'lease_expired', jsonb_build_object('owner', $1::uuid, 'attempt', attempt, 'alarm', $2::bigint)
    from taken
)
select job_id, attempt, coalesce(undecided and outcome_pending ->> 'outcome' = 'dead', false) as "given_up!"
from taken
join lost using (job_id)
order by job_id
