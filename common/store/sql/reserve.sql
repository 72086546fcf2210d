-- $1 job, $2 epoch, $3 step_no, $4 model, $5 cost_microusd, $6 event data
with fenced as (
    update queue
    set ledger_seq = ledger_seq + 1,
        ledger_head = ledger_hash(ledger_head, job_id, ledger_seq + 1, now(), 'reserved', $3, null, $4, 0, 0, 0, 0, $5),
        cost_microusd = cost_microusd + $5,
        event_seq = event_seq + 1
    where job_id = $1 and epoch = $2 and state = 'leased' and step_no = $3 - 1
    returning job_id, ledger_seq, ledger_head, event_seq
), entered as (
    insert into ledger (job_id, seq, at, kind, step_no, model, cost_microusd, hash)
    select job_id, ledger_seq, now(), 'reserved', $3, $4, $5, ledger_head from fenced
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'model_called', $6 from fenced
)
select ledger_seq from fenced
