-- $1 alarm, $2 seconds without progress, $3 most attempts of a mechanic, $4 of a genius, $5 base of the backoff in seconds, $6 most of it
-- Whoever writes something of his job at this moment has its row locked, and is not stuck.
with stuck as (
    select queue.job_id, queue.owner, extract(epoch from now() - moved_at)::bigint as idle_secs, queue.outcome_pending is null as undecided
    from queue
    cross join lateral last_moved(queue.job_id)
    where queue.state = 'leased' and moved_at < now() - make_interval(secs => $2)
    order by queue.job_id
    for update of queue skip locked
), taken as (
    update queue
    set (state, waiting_for, mode, outcome_pending, run_at) = (
            select follows.state, follows.waiting_for, follows.mode, follows.outcome_pending, follows.run_at
            from after_attempt(
                attempt >= case when queue.mode = 'genius' then $4::int else $3::int end,
                format('it stood still for more than %s s under its lease, in attempt %s without progress', $2::float8, attempt),
                now() + backoff(attempt, $5, $6), now(), queue.mode, queue.waiting_for, cancel_requested, queue.outcome_pending
            ) as follows
        ),
        epoch = epoch + 1,
        owner = null,
        lease_until = null,
        event_seq = event_seq + 1
    where job_id = any(array(select job_id from stuck))
    returning job_id, lane, mode, attempt, run_at, event_seq, outcome_pending
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'attempt_failed',
           jsonb_build_object('cause', format('it stood still for %s s', idle_secs), 'attempt', attempt, 'run_at', run_at, 'alarm', $1::bigint)
    from taken
    join stuck using (job_id)
)
select job_id, lane as repository, mode, owner as "owner!", idle_secs as "idle_secs!", attempt,
       coalesce(undecided and outcome_pending ->> 'outcome' = 'dead', false) as "given_up!"
from taken
join stuck using (job_id)
order by job_id
