-- $1 job, $2 epoch, $3 cause, $4 not before, in seconds, $5 patience in seconds, $6 most attempts
-- Something around the job is away: a provider, the forge, a key. That uses up no attempt; the pauses grow
-- with the time it has lasted, up to a minute. When patience is over, the job is only finalized.
with waited as (
    select job_id, coalesce(retrying_since, now()) as since, now() - coalesce(retrying_since, now()) > make_interval(secs => $5) as over
    from queue
    where job_id = $1 and epoch = $2 and state = 'leased'
    for update
), given_back as (
    update queue
    set state = case when waiting_for = 'triage' and not waited.over then 'waiting' else 'ready' end,
        waiting_for = case when not waited.over then waiting_for end,
        mode = case when waited.over then coalesce(mode, 'mechanic') else mode end,
        epoch = epoch + 1,
        owner = null,
        lease_until = null,
        retrying_since = waited.since,
        attempt = case when waited.over then $6 else greatest(attempt - 1, 0) end,
        outcome_pending = case when waited.over
            then coalesce(outcome_pending, jsonb_build_object('outcome', 'dead', 'cause', $3::text))
            else outcome_pending end,
        run_at = now() + make_interval(secs => case
            when cancel_requested or waited.over then 0
            else greatest($4::float8, least(60, extract(epoch from now() - waited.since)::float8 / 2)) * (1 + random() / 2) end),
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
