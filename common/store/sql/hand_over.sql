-- $1 job, $2 epoch, $3 event data
-- The job goes to the other mode at a fenced release, once. What it spent so far stays in its ledger and its totals, and is
-- told by the event, since the caps of the new mode begin after it.
with fenced as (
    update queue
    set mode = 'genius', state = 'ready', waiting_for = null, epoch = epoch + 1, attempt = 0, retrying_since = null,
        owner = null, lease_until = null, run_at = now(), event_seq = event_seq + 1, handed_over = event_seq + 1
    where job_id = $1 and epoch = $2 and state = 'leased' and mode = 'mechanic' and handed_over is null
      and outcome_pending is null and not cancel_requested
    returning job_id, lane, event_seq, step_no, tokens, cost_microusd, active_ms
), moved as (
    update jobs set mode = 'genius' from fenced where jobs.job_id = fenced.job_id
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'handed_over', $3::jsonb || jsonb_build_object('from', 'mechanic', 'to', 'genius', 'spent',
        jsonb_build_object('steps', step_no, 'tokens', tokens, 'cost_microusd', cost_microusd, 'active_ms', active_ms))
    from fenced
)
select job_id from fenced cross join lateral move_spend(job_id, lane, 'mechanic', 'genius')
