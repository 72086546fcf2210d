-- $1 owner, $2 mode, $3 slots, $4 lease in seconds, $5 now (null = the database's clock)
with claimed as (
    update queue
    set state = 'leased',
        epoch = epoch + 1,
        attempt = attempt + 1,
        owner = $1,
        lease_until = coalesce($5, now()) + make_interval(secs => $4),
        event_seq = event_seq + 1
    where job_id = any(array(
        select job_id
        from queue
        where state = 'ready' and mode = $2 and run_at <= coalesce($5, now())
        order by priority, run_at, job_id
        limit $3
        for update skip locked
    ))
    returning job_id, lane, mode, epoch, attempt, step_no, event_seq, outcome_pending is not null as finalizing
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'claimed', jsonb_build_object('owner', $1::uuid, 'epoch', epoch, 'attempt', attempt, 'finalizing', finalizing)
    from claimed
)
select job_id, lane, mode as "mode!", epoch, attempt, step_no from claimed
