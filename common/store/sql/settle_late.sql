-- $1 job, $2 step_no, $3 model, $4 reservation_seq, $5-$8 uncached_input cache_read cache_write output, $9 cost
-- No fence: the one write that a worker without its lease may make. It closes its own open reservation,
-- once, wherever the job's chain ends now: in the queue, or in jobs when the job is finished.
with open as (
    select job_id, cost_microusd as reserved
    from ledger reservation
    where job_id = $1 and seq = $4 and kind = 'reserved' and step_no = $2 and model = $3
      and not exists (select from ledger closing where closing.job_id = $1 and closing.reservation_seq = $4)
), queued as (
    update queue
    set ledger_seq = ledger_seq + 1,
        ledger_head = ledger_hash(ledger_head, queue.job_id, ledger_seq + 1, now(), 'settled_late', $2, $4, $3, $5, $6, $7, $8, $9),
        tokens = tokens + $5 + $7 + $8,
        cost_microusd = cost_microusd - open.reserved + $9
    from open
    where queue.job_id = open.job_id
    returning queue.job_id, ledger_seq, ledger_head
), ended as (
    update jobs
    set ledger_seq = coalesce((select queued.ledger_seq from queued), jobs.ledger_seq + 1),
        ledger_head = coalesce((select queued.ledger_head from queued),
            ledger_hash(jobs.ledger_head, jobs.job_id, jobs.ledger_seq + 1, now(), 'settled_late', $2, $4, $3, $5, $6, $7, $8, $9)),
        tokens = tokens + $5 + $7 + $8,
        cost_microusd = cost_microusd - open.reserved + $9
    from open
    where jobs.job_id = open.job_id and jobs.finished_at is not null
    returning jobs.job_id, jobs.ledger_seq, jobs.ledger_head
), tail as (
    select job_id, ledger_seq, ledger_head from queued
    union
    select job_id, ledger_seq, ledger_head from ended
), entered as (
    insert into ledger (job_id, seq, at, kind, step_no, reservation_seq, model,
                        uncached_input, cache_read, cache_write, output, cost_microusd, hash)
    select job_id, ledger_seq, now(), 'settled_late', $2, $4, $3, $5, $6, $7, $8, $9, ledger_head from tail
), spent as (
    select settle_spend(jobs.job_id, jobs.repository, jobs.mode, $4, $9)
    from tail
    join jobs on jobs.job_id = tail.job_id
)
select exists (select from spent) as "settled!"
