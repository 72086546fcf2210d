-- $1 after this job, $2 repository, $3 mode, $4 part of the cause, $5 dead for so many seconds (null = any), $6 at most so many
select queue.job_id, queue.lane as repository, queue.mode, died.title as "title!", died.cause as "cause!", died.finished_at as "died_at!",
       queue.step_no, queue.cost_microusd
from queue
cross join lateral (
    select input ->> 'title' as title, coalesce(outcome_detail ->> 'cause', '') as cause, finished_at
    from jobs
    where jobs.job_id = queue.job_id
      and ($4::text is null or strpos(lower(outcome_detail ->> 'cause'), lower($4)) > 0)
      and ($5::float8 is null or finished_at <= now() - make_interval(secs => $5))
    limit 1
) as died
where queue.state = 'dead' and queue.job_id > $1
  and ($2::text is null or queue.lane = $2) and ($3::text is null or queue.mode = $3)
order by queue.job_id
limit $6
