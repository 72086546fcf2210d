-- $1 first day, $2 last day (null = without end)
select ledger.job_id, seq, at, ledger.kind, repository as "repository?", mode as "mode?", step_no, reservation_seq, ledger.model,
       uncached_input, cache_read, cache_write, output, ledger.cost_microusd, encode(hash, 'hex') as "hash!"
from ledger
left join jobs on jobs.job_id = ledger.job_id
where at >= coalesce($1::date::timestamp at time zone 'UTC', '-infinity')
  and at < coalesce(($2::date + 1)::timestamp at time zone 'UTC', 'infinity')
order by ledger.job_id, seq
