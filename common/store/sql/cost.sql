-- $1 repository, model, mode or day; $2 first day, $3 last day (null = without end)
-- What was paid by the time it was paid, and what is held back for calls that nobody has settled yet.
select case $1::text
           when 'repository' then jobs.repository
           when 'mode' then jobs.mode
           when 'model' then entry.model
           else to_char(entry.at at time zone 'UTC', 'YYYY-MM-DD')
       end as "key",
       count(*) filter (where entry.kind in ('settled', 'settled_late')) as "calls!",
       coalesce(sum(entry.uncached_input), 0)::bigint as "uncached_input!",
       coalesce(sum(entry.cache_read), 0)::bigint as "cache_read!",
       coalesce(sum(entry.cache_write), 0)::bigint as "cache_write!",
       coalesce(sum(entry.output), 0)::bigint as "output!",
       coalesce(sum(entry.cost_microusd) filter (where entry.kind <> 'reserved'), 0)::bigint as "paid!",
       coalesce(sum(entry.cost_microusd) filter (where entry.kind = 'reserved'), 0)::bigint as "held!"
from ledger entry
left join jobs on jobs.job_id = entry.job_id
where entry.at >= coalesce($2::date::timestamp at time zone 'UTC', '-infinity')
  and entry.at < coalesce(($3::date + 1)::timestamp at time zone 'UTC', 'infinity')
  and (entry.kind <> 'reserved'
       or not exists (select from ledger closing where closing.job_id = entry.job_id and closing.reservation_seq = entry.seq))
group by 1
order by 1
