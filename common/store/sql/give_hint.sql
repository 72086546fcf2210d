-- $1 job, $2 text, $3 who says it
-- Not fenced: it writes beside whoever holds the job, who numbers events in the same column. The step that reads
-- it is the one after the last whose call was begun: under the present lease, or with a reply that is stored.
-- A job that waits for an answer has one now, and is ready.
with picked as (
    select job_id, state = 'waiting' and waiting_for = 'answer' and mode is not null as answered
    from queue
    where job_id = $1 and state <> 'dead' and outcome_pending is null and not cancel_requested
    for update
), hinted as (
    update queue
    set event_seq = event_seq + 1 + answered::int,
        state = case when answered then 'ready' else state end,
        waiting_for = case when answered then null else waiting_for end,
        run_at = case when answered then now() else run_at end,
        epoch = epoch + answered::int
    from picked
    where queue.job_id = picked.job_id
    returning queue.job_id, event_seq - answered::int as event_seq, step_no, state, answered
), placed as (
    select job_id, event_seq, answered, 1 + greatest(
        step_no,
        coalesce((select max(steps.step_no) from steps where steps.job_id = $1 and half = 'reply'), 0),
        case when state = 'leased' then coalesce((
            select max((data ->> 'step_no')::integer)
            from events
            where events.job_id = $1 and kind = 'model_called'
              and seq > coalesce((select max(seq) from events where events.job_id = $1 and kind = 'claimed'), 0)), 0)
        else 0 end) as before_step
    from hinted
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'hint', jsonb_build_object('text', $2::text, 'before_step', before_step, 'by', $3::text)
    from placed
    union all
    select job_id, event_seq + 1, 'woken', '{"waited_for": "answer", "by": "hint"}'
    from placed
    where answered
)
select event_seq as "seq!", before_step as "before_step!", answered as "answered!" from placed
