-- $1 job
with due as (
    select job_id, waiting_for
    from queue
    where job_id = $1 and state = 'waiting' and waiting_for <> 'triage'
    for update
), woken as (
    -- One that never passed triage goes there.
    update queue
    set state = case when mode is null then 'waiting' else 'ready' end,
        waiting_for = case when mode is null then 'triage' end,
        run_at = now(),
        epoch = epoch + 1,
        event_seq = event_seq + 1
    from due
    where queue.job_id = due.job_id
    returning queue.job_id, due.waiting_for as waited_for, queue.event_seq
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'woken', jsonb_build_object('waited_for', waited_for, 'by', 'request')
    from woken
)
select job_id, waited_for as "waited_for!" from woken
