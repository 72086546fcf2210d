-- $1 owner, $2 lease in seconds, $3 job (null = the next), $4 now (null = the database's clock)
with claimed as (
    update queue
    set state = 'leased',
        epoch = epoch + 1,
        attempt = attempt + 1,
        owner = $1,
        lease_until = coalesce($4, now()) + make_interval(secs => $2)
    where job_id = any(array(
        select job_id
        from queue
        where state = 'waiting' and waiting_for = 'triage' and run_at <= coalesce($4, now()) and ($3::uuid is null or job_id = $3)
        order by run_at, job_id
        limit 1
        for update skip locked
    ))
    returning job_id, epoch
)
select job_id, epoch from claimed
