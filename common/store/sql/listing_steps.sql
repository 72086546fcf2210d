-- $1 job, $2 after this step, $3 limit, $4 with what the tools said
select reply.step_no as "step_no!", reply.model as "model!", reply.created_at as "created_at!", reply.duration_ms as "model_ms!",
       done.duration_ms as "tools_ms?", done.tree as "tree?", told.data as "replied?",
       case when $4 then done.results end as "results?"
from steps reply
left join steps done on done.job_id = reply.job_id and done.step_no = reply.step_no and done.half = 'results'
left join events told on told.job_id = reply.job_id and told.kind = 'model_replied' and (told.data ->> 'step_no')::int = reply.step_no
where reply.job_id = $1 and reply.half = 'reply' and reply.step_no > $2
order by reply.step_no
limit $3
