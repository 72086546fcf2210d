-- $1 job
-- Raising the epoch locks out whoever holds it. A job that never passed triage goes there.
with picked as (
    select job_id, state, outcome_pending is null and not cancel_requested and (mode is null or waiting_for = 'triage') as untriaged
    from queue
    where job_id = $1 and state <> 'dead'
    for update
), requeued as (
    update queue
    set state = case when picked.untriaged then 'waiting' else 'ready' end,
        waiting_for = case when picked.untriaged then 'triage' end,
        mode = case when picked.untriaged then mode else coalesce(mode, 'mechanic') end,
        outcome_pending = case when cancel_requested then coalesce(outcome_pending, '{"outcome": "stopped"}') else outcome_pending end,
        epoch = epoch + 1,
        attempt = 0,
        retrying_since = null,
        owner = null,
        lease_until = null,
        run_at = now(),
        event_seq = event_seq + 1
    from picked
    where queue.job_id = picked.job_id
    returning queue.job_id, picked.state as state, queue.event_seq
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'requeued', jsonb_build_object('from', state)
    from requeued
)
select state as "state!" from requeued
