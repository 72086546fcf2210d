-- $1 owner, $2 job, $3 lease in seconds, $4 now (null = the database's clock)
with claimed as (
    update queue
    set state = 'leased',
        epoch = epoch + 1,
        attempt = attempt + 1,
        owner = $1,
        lease_until = coalesce($4, now()) + make_interval(secs => $3),
        event_seq = event_seq + 1
    where job_id = any(array(
        select job_id
        from queue
        where job_id = $2 and state = 'ready' and run_at <= coalesce($4, now())
        for update skip locked
    ))
    returning job_id, lane, mode, epoch, attempt, step_no, event_seq, outcome_pending is not null as finalizing
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'claimed', jsonb_build_object('owner', $1::uuid, 'epoch', epoch, 'attempt', attempt, 'finalizing', finalizing)
    from claimed
)
select job_id, lane, mode as "mode!", epoch, attempt, step_no from claimed
