-- $1 owner, $2 job, $3 lease in seconds, $4 now (null = the database's clock)
-- The claim of a job that is named: gates and the lane's limit hold it back as they do in claim.sql.
with wanted as (
    select job_id, mode, queue.lane, outcome_pending is not null as decided, max_running, served_at
    from queue
    join lanes on lanes.lane = queue.lane
    where job_id = $2 and state = 'ready' and run_at <= coalesce($4, now())
), locked as (
    select lane, served_at
    from lanes
    where max_running is not null and lane = any(array(select lane from wanted where not decided))
    for update skip locked
), open as (
    select job_id
    from wanted
    where decided
       or (not exists (
                select
                from gates
                where scope in ('all', 'mode:' || wanted.mode, 'repository:' || wanted.lane) and until > coalesce($4, now())
            )
            and (max_running is null
                or (exists (select from locked where locked.served_at = wanted.served_at)
                    and max_running > (
                        select count(*)
                        from queue
                        where queue.lane = wanted.lane and queue.state = 'leased' and queue.outcome_pending is null
                          and queue.waiting_for is distinct from 'triage'
                    ))))
), claimed as (
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
        where job_id = any(array(select job_id from open)) and state = 'ready'
        for update skip locked
    ))
    returning job_id, lane, mode, epoch, attempt, step_no, event_seq, outcome_pending is not null as finalizing
), served as (
    update lanes
    set served_at = clock_timestamp()
    where lane = any(array(select lane from claimed)) and lane = any(array(select lane from locked))
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'claimed', jsonb_build_object('owner', $1::uuid, 'epoch', epoch, 'attempt', attempt, 'finalizing', finalizing)
    from claimed
)
select job_id, lane, mode as "mode!", epoch, attempt, step_no from claimed
