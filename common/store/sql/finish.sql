-- $1 job, $2 epoch, $3 outcome, $4 outcome in full, $5 links
-- The queue row goes with the same statement; the row of a dead job stays, to be redriven or discarded.
with removed as (
    delete from queue
    where job_id = $1 and epoch = $2 and state = 'leased' and $3 <> 'dead'
    returning job_id, step_no, tokens, cost_microusd, active_ms, ledger_seq, ledger_head, event_seq + 1 as event_seq
), buried as (
    update queue
    set state = 'dead', owner = null, lease_until = null, waiting_for = null, epoch = epoch + 1, event_seq = event_seq + 1
    where job_id = $1 and epoch = $2 and state = 'leased' and $3 = 'dead'
    returning job_id, step_no, tokens, cost_microusd, active_ms, ledger_seq, ledger_head, event_seq
), fenced as (
    select * from removed
    union all
    select * from buried
), ended as (
    update jobs
    set finished_at = now(), outcome = $3, outcome_detail = $4, links = $5, steps = fenced.step_no, tokens = fenced.tokens,
        cost_microusd = fenced.cost_microusd, active_ms = fenced.active_ms,
        ledger_seq = fenced.ledger_seq, ledger_head = fenced.ledger_head
    from fenced
    where jobs.job_id = fenced.job_id
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'finalized', jsonb_build_object('outcome', $3::text, 'steps', step_no, 'tokens', tokens,
        'cost_microusd', cost_microusd, 'active_ms', active_ms, 'links', $5::jsonb)
    from fenced
)
select step_no, tokens, cost_microusd, active_ms from fenced
