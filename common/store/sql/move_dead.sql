-- $1 first job, $2 last job, $3 repository, $4 mode, $5 part of the cause, $6 dead for so many seconds (null = any), $7 at most so many,
-- $8 true = try them again, false = put them away
with picked as (
    select queue.job_id
    from queue
    cross join lateral (
        select
        from jobs
        where jobs.job_id = queue.job_id
          and ($5::text is null or strpos(lower(jobs.outcome_detail ->> 'cause'), lower($5)) > 0)
          and ($6::float8 is null or jobs.finished_at <= now() - make_interval(secs => $6))
        limit 1
    ) as matching
    where queue.state = 'dead' and queue.job_id between $1 and $2
      and ($3::text is null or queue.lane = $3) and ($4::text is null or queue.mode = $4)
    order by queue.job_id
    limit $7
    for update of queue skip locked
), redriven as (
    update queue
    set state = 'ready',
        epoch = epoch + 1,
        attempt = 0,
        retrying_since = null,
        outcome_pending = null,
        cancel_requested = false,
        run_at = now(),
        event_seq = event_seq + 1
    from picked
    where $8 and queue.job_id = picked.job_id
    returning queue.job_id, queue.event_seq
), unfinished as (
    -- The ledger's head went back and forth: the queue row has kept it.
    update jobs
    set finished_at = null, outcome = null, outcome_detail = null, links = null, steps = null, tokens = null,
        cost_microusd = null, active_ms = null, ledger_seq = null, ledger_head = null
    from redriven
    where jobs.job_id = redriven.job_id
), told_again as (
    -- Where people were told that it was given up they are told how it goes on.
    update outbox
    set done_at = null, due_at = now(), attempt = 0, problem = null
    from redriven
    where outbox.job_id = redriven.job_id and outbox.part in ('comment', 'check_run') and outbox.done_at is not null
), discarded as (
    delete from queue
    using picked
    where not $8 and queue.job_id = picked.job_id
    returning queue.job_id, queue.event_seq + 1 as event_seq
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'redriven', '{}'::jsonb from redriven
    union all
    select job_id, event_seq, 'discarded', '{}' from discarded
)
select job_id as "job_id!" from redriven
union all
select job_id from discarded
