-- $1 job, $2 epoch, $3 the last step that is known in full, $4 the last event that is
-- A row for each further step, or one without: all that changes of a job in one look.
select attempt, queue.tokens, cost_microusd, active_ms, cancel_requested, event_seq,
       outcome_pending as "outcome_pending: Json<Outcome>",
       beside.handed_over as "handed_over: Json<HandedOver>",
       beside.hints as "hints: Json<Vec<StoredHint>>",
       further.step_no as "further?", further.model as "model?", further.reply as "reply?", further.results as "results?",
       further.tree as "tree?"
from queue
cross join lateral (
    select (select data from events where events.job_id = queue.job_id and seq = handed_over) as handed_over,
           (select jsonb_agg(data order by seq) from events where events.job_id = $1 and seq > $4 and kind = 'hint') as hints
    offset 0
) as beside
left join lateral (
    select reply.step_no, reply.model, reply.reply, done.results, done.tree
    from steps reply
    left join steps done on done.job_id = reply.job_id and done.step_no = reply.step_no and done.half = 'results'
    where reply.job_id = $1 and reply.half = 'reply' and reply.step_no > $3
    offset 0
) as further on true
where queue.job_id = $1 and epoch = $2 and state = 'leased'
order by further.step_no
