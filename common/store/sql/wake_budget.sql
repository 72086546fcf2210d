-- $1 scope, $2 how many
with woken as (
    -- One that never passed triage goes there.
    update queue
    set state = case when mode is null then 'waiting' else 'ready' end,
        waiting_for = case when mode is null then 'triage' end,
        run_at = now(), event_seq = event_seq + 1
    where job_id = any(array(
        select job_id
        from queue
        where state = 'waiting' and waiting_for = 'budget' and $1::text = any(scopes_of(lane, mode))
        order by job_id
        limit $2
        for update skip locked
    ))
    returning job_id, event_seq
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'woken', jsonb_build_object('waited_for', 'budget', 'scope', $1::text) from woken
)
select count(*) as "woken!" from woken
