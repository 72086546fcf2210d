-- $1 before this job, $2 jobs to look through, $3 limit, $4 queue state, $5 finished only, $6 repository, $7 mode, $8 kind, $9 outcome,
-- $10 written since. A state of the queue is looked for in the queue, which is short; everything else among the newest jobs. The id of a
-- job carries the clock of its writer, created_at that of the database: an hour between them is allowed for.
with live as materialized (
    select jobs.job_id
    from queue
    join jobs using (job_id)
    where $4::text is not null
      and queue.state = $4
      and jobs.job_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      and ($6::text is null or jobs.repository = $6)
      and ($7::text is null or jobs.mode = $7)
      and ($8::text is null or jobs.kind = $8)
      and ($9::text is null or jobs.outcome = $9)
      and ($10::timestamptz is null or jobs.created_at >= $10)
    order by jobs.job_id desc
    limit $3
), looked as materialized (
    select job_id
    from jobs
    where $4::text is null
      and job_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      and job_id >= coalesce(uuid_at($10::timestamptz - interval '1 hour'), '00000000-0000-0000-0000-000000000000')
    order by job_id desc
    limit $2
), found as (
    select jobs.job_id, jobs.created_at, jobs.repository, jobs.kind, jobs.mode, jobs.input ->> 'title' as title,
           queue.state, queue.waiting_for, jobs.outcome, jobs.finished_at, coalesce(jobs.steps, queue.step_no, 0) as steps,
           coalesce(jobs.cost_microusd, queue.cost_microusd, 0) as cost_microusd
    from (select job_id from live union all select job_id from looked) candidates
    join jobs using (job_id)
    left join queue using (job_id)
    where (not $5 or queue.job_id is null)
      and ($6::text is null or jobs.repository = $6)
      and ($7::text is null or jobs.mode = $7)
      and ($8::text is null or jobs.kind = $8)
      and ($9::text is null or jobs.outcome = $9)
      and ($10::timestamptz is null or jobs.created_at >= $10)
    order by jobs.job_id desc
    limit $3
)
select edge.looked as "looked!", edge.oldest as "oldest?", found.job_id as "job_id?", found.created_at as "created_at?",
       found.repository as "repository?", found.kind as "kind?", found.mode as "mode?", found.title as "title?", found.state as "state?",
       found.waiting_for as "waiting_for?", found.outcome as "outcome?", found.finished_at as "finished_at?", found.steps as "steps?",
       found.cost_microusd as "cost_microusd?"
from (select count(*) as looked, (array_agg(job_id order by job_id))[1] as oldest from looked) edge
left join found on true
order by found.job_id desc
