-- $1 first job, $2 last job, $3 repository, $4 mode, $5 part of the cause, $6 dead for so many seconds (null = any), $7 at most so many
with picked as (
    select queue.job_id
    from queue
    cross join lateral (
        select
        from jobs
        where jobs.job_id = queue.job_id
          and ($5::text is null or strpos(lower(jobs.outcome_detail ->> 'cause'), lower($5)) > 0)
          and ($6::float8 is null or jobs.finished_at <= now() - make_interval(secs => $6))
        limit 1
    ) as matching
    where queue.state = 'dead' and queue.job_id between $1 and $2
      and ($3::text is null or queue.lane = $3) and ($4::text is null or queue.mode = $4)
    order by queue.job_id
    limit $7
    for update of queue skip locked
), discarded as (
    delete from queue
    using picked
    where queue.job_id = picked.job_id
    returning queue.job_id, queue.event_seq + 1 as event_seq
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'discarded', '{}' from discarded
)
select job_id as "job_id!" from discarded
