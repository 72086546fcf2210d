-- $1 job, $2 epoch, $3 what it waits for, $4 until when at the latest, $5 the question that it asked (null = none)
with parked as (
    update queue
    set state = case when cancel_requested or outcome_pending is not null then 'ready' else 'waiting' end,
        waiting_for = case when cancel_requested or outcome_pending is not null then null else $3 end,
        mode = case when cancel_requested or outcome_pending is not null then coalesce(mode, 'mechanic') else mode end,
        outcome_pending = case when cancel_requested then coalesce(outcome_pending, '{"outcome": "stopped"}') else outcome_pending end,
        run_at = case when cancel_requested or outcome_pending is not null then now() else $4 end,
        epoch = epoch + 1,
        attempt = greatest(attempt - 1, 0),
        owner = null,
        lease_until = null,
        event_seq = event_seq + 1
    where job_id = $1 and epoch = $2 and state = 'leased'
    returning job_id, event_seq, state, waiting_for, run_at
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, case state when 'waiting' then 'snoozed' else 'released' end,
           case state when 'waiting' then jsonb_strip_nulls(jsonb_build_object('waiting_for', waiting_for, 'until', run_at, 'question', $5::text))
               else jsonb_build_object('reason', 'its end is decided') end
    from parked
)
select job_id from parked
