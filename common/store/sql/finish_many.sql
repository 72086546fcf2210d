-- $1 jobs, ascending, $2 epochs, $3 outcomes, $4 outcomes in full, $5 links: a row each
-- The queue row goes with the same statement; the row of a dead job stays, to be redriven or discarded.
-- Each is fenced by its own epoch, under a lock that is held to the end; who is not in the answer has lost its lease.
-- Written so that there is one way to run it, whatever the planner believes about a table that grows from nothing to
-- millions: by key, row for row (the empty offset keeps the look-up apart).
with fenced as materialized (
    select held.*, ending.outcome, ending.detail, ending.links
    from unnest($1::uuid[], $2::bigint[], $3::text[], $4::jsonb[], $5::jsonb[]) as ending (job_id, epoch, outcome, detail, links)
    cross join lateral (
        select queue.job_id, queue.epoch, step_no, tokens, cost_microusd, active_ms, ledger_seq, ledger_head, event_seq
        from queue
        where queue.job_id = ending.job_id and queue.epoch = ending.epoch and owner is not null
        offset 0
        for update
    ) as held
), removed as (
    delete from queue where job_id = any(array(select job_id from fenced where outcome <> 'dead'))
), buried as (
    update queue
    set state = 'dead', owner = null, lease_until = null, waiting_for = null, epoch = epoch + 1, event_seq = event_seq + 1
    where job_id = any(array(select job_id from fenced where outcome = 'dead'))
), ended as (
    update jobs
    set finished_at = now(), outcome = fenced.outcome, outcome_detail = fenced.detail, links = fenced.links, steps = fenced.step_no,
        tokens = fenced.tokens, cost_microusd = fenced.cost_microusd, active_ms = fenced.active_ms,
        ledger_seq = fenced.ledger_seq, ledger_head = fenced.ledger_head
    from fenced
    where jobs.job_id = fenced.job_id
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq + 1, 'finalized', jsonb_build_object('outcome', outcome, 'steps', step_no, 'tokens', tokens,
        'cost_microusd', cost_microusd, 'active_ms', active_ms, 'links', links)
    from fenced
)
select job_id as "job_id!", epoch as "epoch!", step_no as "step_no!", tokens as "tokens!", cost_microusd as "cost_microusd!",
       active_ms as "active_ms!"
from fenced
