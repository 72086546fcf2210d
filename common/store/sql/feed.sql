-- $1 $2 $3 after this xid, job, seq; $4 below this xid, which no open transaction can still reach; $5 job, $6 repository, $7 limit
-- The first two conditions are there for the index (events_feed).
select events.xid::text::bigint as "xid!", events.job_id as "job_id!", events.seq as "seq!", events.created_at as "created_at!",
       events.kind as "kind!", events.data as "data!", jobs.repository as "repository!"
from events
join jobs on jobs.job_id = events.job_id
where events.xid::text::bigint >= $1
  and events.xid::text::bigint < $4
  and (events.xid, events.job_id, events.seq) > ($1::text::xid8, $2::uuid, $3::bigint)
  and ($5::uuid is null or events.job_id = $5)
  and ($6::text is null or jobs.repository = $6)
order by events.xid, events.job_id, events.seq
limit $7
