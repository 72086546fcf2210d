-- $1 mode, $2 the most that is counted of each kind
-- What a claim would find, by the same rules: a closed gate and a full lane hold back what is to be worked on, never what only
-- has to be finalized. Lanes, gates and the ends of an index are read, and never the queue as a whole.
with waiting as (
    select lane, sum(few.jobs)::bigint as jobs
    from lane_queues
    cross join lateral (
        select count(*) as jobs
        from (
            select
            from queue
            where queue.mode = $1 and queue.lane = lane_queues.lane and queue.priority = lane_queues.priority and queue.state = 'ready'
              and queue.outcome_pending is null and queue.run_at <= now()
            limit $2
        ) as counted
    ) as few
    where lane_queues.mode = $1 and active and few.jobs > 0
    group by lane
), open as (
    select waiting.lane, waiting.jobs,
           case
               when exists (
                   select
                   from gates
                   where scope in ('all', 'mode:' || $1::text, 'repository:' || waiting.lane) and until > now()
               ) then 0
               when max_running is null then waiting.jobs
               else greatest(0, max_running - (
                   select count(*)
                   from queue
                   where queue.lane = waiting.lane and queue.state = 'leased' and queue.outcome_pending is null
                     and queue.waiting_for is distinct from 'triage'
               ))
           end as room
    from waiting
    join lanes on lanes.lane = waiting.lane
), decided as (
    select count(*) as jobs
    from (
        select
        from queue
        where mode = $1 and state = 'ready' and outcome_pending is not null and run_at <= now()
        limit $2
    ) as counted
), leased as (
    select count(*) as jobs
    from queue
    where state = 'leased' and mode = $1 and waiting_for is distinct from 'triage'
)
select (select coalesce(sum(least(jobs, room)), 0) from open)::bigint + decided.jobs as "ready!",
       (select coalesce(sum(jobs - least(jobs, room)), 0) from open)::bigint as "held_back!",
       leased.jobs as "leased!"
from decided
cross join leased
