-- $1 job, $2 epoch, $3 model, $4 reservation_seq, $5 reserved cost, $6 settled cost,
-- $7-$10 uncached_input cache_read cache_write output
-- A call of triage: it belongs to no step, so its reply is not kept.
with fenced as (
    update queue
    set ledger_seq = ledger_seq + 1,
        ledger_head = ledger_hash(ledger_head, job_id, ledger_seq + 1, now(), 'settled', 0, $4, $3, $7, $8, $9, $10, $6),
        cost_microusd = cost_microusd - $5 + $6,
        tokens = tokens + $7 + $9 + $10
    where job_id = $1 and epoch = $2 and state = 'leased'
    returning job_id, lane, mode, ledger_seq, ledger_head
), entered as (
    insert into ledger (job_id, seq, at, kind, step_no, reservation_seq, model,
                        uncached_input, cache_read, cache_write, output, cost_microusd, hash)
    select job_id, ledger_seq, now(), 'settled', 0, $4, $3, $7, $8, $9, $10, $6, ledger_head from fenced
)
select job_id from fenced cross join lateral settle_spend(job_id, lane, mode, $4, $6)
