-- $1 now (null = the database's clock), $2 at most so many
with due as (
    select job_id, waiting_for
    from queue
    where state = 'waiting' and waiting_for <> 'triage' and run_at <= coalesce($1, now())
    order by run_at, job_id
    limit $2
    for update skip locked
), woken as (
    -- One that never passed triage goes there.
    update queue
    set state = case when mode is null then 'waiting' else 'ready' end,
        waiting_for = case when mode is null then 'triage' end,
        run_at = coalesce($1, now()),
        epoch = epoch + 1,
        event_seq = event_seq + 1
    from due
    where queue.job_id = due.job_id
    returning queue.job_id, due.waiting_for as waited_for, queue.event_seq
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'woken', jsonb_build_object('waited_for', waited_for, 'by', 'time')
    from woken
)
select job_id, waited_for as "waited_for!" from woken
