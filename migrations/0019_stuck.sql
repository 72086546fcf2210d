-- When whoever holds a job last wrote something of it: what people ask of it meanwhile moves nothing. The figure of stuck jobs and the
-- alarm that takes them away go by this one rule. The planner puts it into their statements as it stands here.
create function last_moved(of_job uuid) returns table (moved_at timestamptz) language sql stable rows 1 as $$
    select created_at
    from events
    where job_id = of_job and kind not in ('hint', 'stop_requested')
    order by seq desc
    limit 1
$$;
