-- $1 job, $2 epoch, $3 cause, $4 not before, in seconds, $5 patience in seconds, $6 most attempts of a mechanic, $7 of a genius
-- Something around the job is away: a provider, the forge, a key. That uses up no attempt; the pauses grow
-- with the time it has lasted, up to a minute. When patience is over, the job is only finalized.
with waited as (
    select job_id, coalesce(retrying_since, now()) as since, now() - coalesce(retrying_since, now()) > make_interval(secs => $5) as over,
           mode, waiting_for, cancel_requested, outcome_pending
    from queue
    where job_id = $1 and epoch = $2 and state = 'leased'
    for update
), given_back as (
    update queue
    set (state, waiting_for, mode, outcome_pending, run_at) = (
            select follows.state, follows.waiting_for, follows.mode, follows.outcome_pending, follows.run_at
            from after_attempt(
                waited.over, $3::text,
                now() + make_interval(secs => (1 + random() / 2)
                    * greatest($4::float8, least(60, extract(epoch from now() - waited.since)::float8 / 2))),
                now(), waited.mode, waited.waiting_for, waited.cancel_requested, waited.outcome_pending
            ) as follows
        ),
        epoch = epoch + 1,
        owner = null,
        lease_until = null,
        retrying_since = waited.since,
        attempt = case
            when not waited.over then greatest(attempt - 1, 0)
            when waited.mode = 'genius' then $7::int
            else $6::int end,
        event_seq = event_seq + 1
    from waited
    where queue.job_id = waited.job_id
    returning queue.job_id, queue.attempt, queue.run_at, queue.event_seq
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'attempt_failed', jsonb_build_object('cause', $3::text, 'attempt', attempt, 'run_at', run_at)
    from given_back
)
select job_id from given_back
