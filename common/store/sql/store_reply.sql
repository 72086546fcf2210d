-- $1 job, $2 epoch, $3 step_no, $4 model, $5 request, $6 reply, $7 duration_ms, $8 reservation_seq,
-- $9 reserved cost, $10 settled cost, $11-$14 uncached_input cache_read cache_write output, $15 event data,
-- $16 and $17 characters of the request that are as in the one before, at its beginning and at its end; $5 is what stands between
-- The reply and its settlement are one statement: a stored reply is a paid one, and the reverse.
-- Leased is said by `lease_until`: by `state` the planner looks through all leased rows, as long as they are few.
with fenced as (
    update queue
    set ledger_seq = ledger_seq + 1,
        ledger_head = ledger_hash(ledger_head, job_id, ledger_seq + 1, now(), 'settled', $3, $8, $4, $11, $12, $13, $14, $10),
        cost_microusd = cost_microusd - $9 + $10,
        tokens = tokens + $11 + $13 + $14,
        active_ms = active_ms + $7,
        event_seq = event_seq + 1
    where job_id = $1 and epoch = $2 and lease_until is not null
    returning job_id, lane, mode, ledger_seq, ledger_head, event_seq, cancel_requested
), entered as (
    insert into ledger (job_id, seq, at, kind, step_no, reservation_seq, model,
                        uncached_input, cache_read, cache_write, output, cost_microusd, hash)
    select job_id, ledger_seq, now(), 'settled', $3, $8, $4, $11, $12, $13, $14, $10, ledger_head from fenced
), stored as (
    insert into steps (job_id, step_no, half, epoch, duration_ms, model, request, request_head, request_tail, reply)
    select job_id, $3, 'reply', $2, $7, $4, $5, $16, $17, $6 from fenced
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'model_replied', $15 from fenced
)
select event_seq, cancel_requested from fenced cross join lateral settle_spend(job_id, lane, mode, $8, $10)
