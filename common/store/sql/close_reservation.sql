-- $1 job, $2 epoch, $3 step_no, $4 model, $5 reservation_seq, $6 reserved cost, $7 duration_ms
-- A call that was refused before it could cost anything.
with fenced as (
    update queue
    set ledger_seq = ledger_seq + 1,
        ledger_head = ledger_hash(ledger_head, job_id, ledger_seq + 1, now(), 'released', $3, $5, $4, 0, 0, 0, 0, 0),
        cost_microusd = cost_microusd - $6,
        active_ms = active_ms + $7
    where job_id = $1 and epoch = $2 and state = 'leased'
    returning job_id, lane, mode, ledger_seq, ledger_head
), entered as (
    insert into ledger (job_id, seq, at, kind, step_no, reservation_seq, model, cost_microusd, hash)
    select job_id, ledger_seq, now(), 'released', $3, $5, $4, 0, ledger_head from fenced
)
select job_id from fenced cross join lateral settle_spend(job_id, lane, mode, $5, 0)
