-- $1 owner, $2 mode, $3 slots, $4 lease in seconds, $5 now (null = the database's clock)
-- Lanes take turns, the one that was served longest ago first, and share the slots equally as far as they have work;
-- inside a lane it goes by priority, then time. From here the queue is only ever reached by index, one lane and
-- priority at a time, whatever the planner knows: subqueries with a limit cannot be turned into a join.
with due as materialized (
    select lane, priority, floor_at
    from lane_queues
    where mode = $2 and active and (
        select true
        from queue
        where queue.mode = $2 and queue.lane = lane_queues.lane and queue.priority = lane_queues.priority and queue.state = 'ready'
          and queue.outcome_pending is null and queue.run_at <= coalesce($5, now()) and queue.run_at >= lane_queues.floor_at
        limit 1
    )
), turns as materialized (
    -- Lanes that were served in the same half second are in no order, since served_at is no finer.
    select lanes.lane, served_at, max_running, row_number() over (
        order by case when served_at > clock_timestamp() - interval '500 ms' then random() end nulls first, served_at, lanes.lane
    ) as turn
    from (select distinct lane from due) as asking
    join lanes on lanes.lane = asking.lane
    where not exists (
        select
        from gates
        where scope in ('all', 'mode:' || $2::text, 'repository:' || asking.lane) and until > coalesce($5, now())
    )
), locked as (
    select lane, served_at
    from lanes
    where lane = any(array(select lane from turns where max_running is not null))
    for update skip locked
), open as materialized (
    -- Leases of a lane with a limit are counted while its row is locked, and only if nobody served it since this
    -- statement's snapshot: then the count is exact.
    select lane, turn, room
    from (
        select lane, turn, case when max_running is null then $3 else max_running - (
                select count(*)
                from queue
                where queue.lane = turns.lane and queue.state = 'leased' and queue.outcome_pending is null
                  and queue.waiting_for is distinct from 'triage'
            ) end as room
        from turns
        where max_running is null or exists (select from locked where locked.lane = turns.lane and locked.served_at = turns.served_at)
    ) as counted
    where room > 0
    order by turn
    limit $3
), decided as materialized (
    select job_id
    from queue
    where mode = $2 and state = 'ready' and outcome_pending is not null and run_at <= coalesce($5, now())
    order by run_at, job_id
    limit $3
    for update skip locked
), shares as (
    -- Dealt out like cards: first the first job of each lane, then the second of each. A lane is read twice
    -- as deep as its equal share, so that few rows are read in vain; what shorter lanes leave over is for the next claim.
    select lane, priority, floor_at, count(*) as jobs
    from (
        select lane, priority, floor_at
        from (
            select open.lane, open.turn, open.room, due.priority, due.floor_at,
                   row_number() over (partition by open.lane order by due.priority, job.run_at, job.job_id) as card
            from open
            join due on due.lane = open.lane
            cross join lateral (
                select run_at, job_id
                from queue
                where mode = $2 and lane = open.lane and priority = due.priority and state = 'ready' and outcome_pending is null
                  and run_at <= coalesce($5, now()) and run_at >= due.floor_at
                order by run_at, job_id
                limit least(open.room, $3, 1 + 2 * $3 / (select count(*) from open))
            ) as job
        ) as dealt
        where card <= room
        order by card, turn
        limit $3 - (select count(*) from decided)
    ) as kept
    group by lane, priority, floor_at
), claimed as (
    update queue
    set state = 'leased',
        epoch = epoch + 1,
        attempt = attempt + 1,
        owner = $1,
        lease_until = coalesce($5, now()) + make_interval(secs => $4),
        event_seq = event_seq + 1
    where job_id = any(array(
        select job_id
        from decided
        union all
        select picked.job_id
        from shares
        cross join lateral (
            select job_id
            from queue
            where mode = $2 and lane = shares.lane and priority = shares.priority and state = 'ready' and outcome_pending is null
              and run_at <= coalesce($5, now()) and run_at >= shares.floor_at
            order by run_at, job_id
            limit shares.jobs
            for update skip locked
        ) as picked
    ))
    returning job_id, lane, mode, epoch, attempt, step_no, event_seq, outcome_pending is not null as finalizing
), served as (
    -- Not at every claim: each version of this row would stay for as long as the oldest open transaction.
    update lanes
    set served_at = clock_timestamp()
    where lane = any(array(
        select lane
        from lanes
        where lane = any(array(select lane from claimed where not finalizing))
          and (max_running is not null or served_at < clock_timestamp() - interval '500 ms')
        for update skip locked
    ))
), noted as (
    insert into events (job_id, seq, kind, data)
    select job_id, event_seq, 'claimed', jsonb_build_object('owner', $1::uuid, 'epoch', epoch, 'attempt', attempt, 'finalizing', finalizing)
    from claimed
)
select job_id, lane, mode as "mode!", epoch, attempt, step_no from claimed
