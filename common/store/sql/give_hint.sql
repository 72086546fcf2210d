-- $1 job, $2 text, $3 who says it
-- Not fenced: it writes beside whoever holds the job, who numbers events in the same column. The step that reads
-- it is the one after the last whose call was begun: under the present lease, or with a reply that is stored.
with hinted as (
    update queue
    set event_seq = event_seq + 1
    where job_id = $1 and state <> 'dead' and outcome_pending is null and not cancel_requested
    returning job_id, event_seq, step_no, state
), placed as (
    select job_id, event_seq, 1 + greatest(
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
)
select event_seq as "seq!", before_step as "before_step!" from placed
