-- $1 job, $2 epoch, $3 step_no (0 = triage's own call), $4 model, $5 cost_microusd, $6 event data,
-- $7 the last event that the caller has heard of; null = whatever was said
-- The call is granted by every budget of the job, and its money held back, or the job waits for the one that has
-- no room. One that was asked to stop is granted none: whoever commits first, the call or the stop, is first. Nor is one
-- whose caller has not heard what was said last: what is said before a call begins, the call knows.
-- Leased is said by `lease_until`: by `state` the planner looks through all leased rows, as long as they are few.
with held as (
    select job_id, lane, mode
    from queue
    where job_id = $1 and epoch = $2 and lease_until is not null and step_no = greatest($3 - 1, 0) and not cancel_requested
      and ($7::bigint is null or event_seq = $7)
    for update
), verdict as (
    select held.job_id, granted, refused, again_at, warnings
    from held
    cross join lateral reserve_spend(held.lane, held.mode, $5)
), fenced as (
    update queue
    set ledger_seq = ledger_seq + granted::int,
        ledger_head = case when granted
            then ledger_hash(ledger_head, queue.job_id, ledger_seq + 1, now(), 'reserved', $3, null, $4, 0, 0, 0, 0, $5)
            else ledger_head end,
        cost_microusd = cost_microusd + case when granted then $5 else 0 end,
        event_seq = event_seq + 1 + jsonb_array_length(warnings),
        state = case when granted then state else 'waiting' end,
        waiting_for = case when granted then waiting_for else 'budget' end,
        run_at = case when granted then run_at else again_at end,
        epoch = epoch + (not granted)::int,
        attempt = case when granted then attempt else greatest(attempt - 1, 0) end,
        owner = case when granted then owner end,
        lease_until = case when granted then lease_until end
    from verdict
    where queue.job_id = verdict.job_id
    returning queue.job_id, ledger_seq, ledger_head, event_seq, granted, refused, again_at, warnings
), entered as (
    insert into ledger (job_id, seq, at, kind, step_no, model, cost_microusd, hash)
    select job_id, ledger_seq, now(), 'reserved', $3, $4, $5, ledger_head from fenced where granted
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq - jsonb_array_length(warnings), 'model_called', $6::jsonb from fenced where granted
    union all
    select job_id, event_seq - jsonb_array_length(warnings) + warning.no, 'budget_warning', warning.data
    from fenced
    cross join lateral jsonb_array_elements(warnings) with ordinality as warning (data, no)
    union all
    select job_id, event_seq, 'budget_refused', refused || jsonb_build_object('run_at', again_at) from fenced where not granted
)
select ledger_seq as "number!", event_seq as "event_seq!", refused as "refused?: Json<BudgetUse>", warnings as "warnings!: Json<Vec<BudgetUse>>"
from fenced
