-- $1 job ids, $2 epochs, $3 lease in seconds, $4 now (null = the database's clock)
-- Locks in job_id order, so that two renewals can never wait for each other.
with held as (
    select queue.job_id
    from queue
    join unnest($1::uuid[], $2::bigint[]) as mine (job_id, epoch) using (job_id, epoch)
    where queue.state = 'leased'
    order by queue.job_id
    for update of queue
)
update queue
set lease_until = coalesce($4, now()) + make_interval(secs => $3)
from held
where queue.job_id = held.job_id
returning queue.job_id, queue.epoch, queue.cancel_requested
