-- lanes: one row per repository that ever had a job. Who was served longest ago comes first.
create table lanes (
    lane         text primary key,                       -- owner/name
    max_running  integer check (max_running > 0),        -- null = no limit
    served_at    timestamptz not null default '-infinity'  -- to half a second, unless the lane has a limit
) with (fillfactor = 50);

-- lane_queues: where to look for work. A claim asks each active one in microseconds, and so never has to find out from
-- the queue itself which lanes it has, however long one of them is. tend_lanes() looks after these rows every few
-- seconds: a lane that was not served for ten minutes and has no work rests, and its next job wakes it; floor_at follows the oldest ready job, so
-- that claims need not step over what was claimed long ago and a forgotten transaction keeps from being cleared away.
create table lane_queues (
    mode      text not null,
    lane      text not null references lanes,
    priority  smallint not null,
    active    boolean not null default true,
    floor_at  timestamptz not null default '-infinity',  -- no ready job has an earlier run_at
    primary key (mode, lane, priority)
);

create index lane_queues_active on lane_queues (mode, lane, priority) where active;

-- gates: what holds work back, for everything, a mode or a repository, until a moment (infinity = until it is taken away).
create table gates (
    scope       text not null check (scope = 'all' or scope ~ '^(mode:(mechanic|genius)|repository:.+)$'),
    reason      text not null check (reason in ('paused', 'budget')),
    until       timestamptz not null,
    detail      jsonb not null,                          -- who closed it and why, or which budget
    created_at  timestamptz not null default now(),
    primary key (scope, reason)
);

create function note_lane() returns trigger language plpgsql as $$
begin
    if exists (select from lane_queues where mode = new.mode and lane = new.lane and priority = new.priority and active) then
        return null;
    end if;
    insert into lanes (lane) values (new.lane) on conflict do nothing;
    insert into lane_queues (mode, lane, priority) values (new.mode, new.lane, new.priority)
    on conflict (mode, lane, priority) do update set active = true, floor_at = '-infinity' where not lane_queues.active;
    return null;
end
$$;

create trigger queue_lane after insert or update of state, mode, lane, priority on queue
    for each row when (new.state = 'ready') execute function note_lane();

-- A job becomes ready with run_at = now() or later, so only one that was committed long after its now() can lie below
-- the floor: 15 s are allowed for that, and the next look lowers the floor if it took longer. In the same way the last
-- statement finds a lane whose first job came in the very moment in which it was put to rest.
create function tend_lanes() returns void language plpgsql as $$
begin
    -- Every process calls this; one at a time does it.
    if not pg_try_advisory_xact_lock(hashtext('tend_lanes')) then
        return;
    end if;
    update lane_queues
    set floor_at = oldest.floor_at
    from (
        select mode, lane, priority, least(now(), (
                select min(run_at)
                from queue
                where queue.mode = groups.mode and queue.lane = groups.lane and queue.priority = groups.priority and queue.state = 'ready'
            )) - interval '15 s' as floor_at
        from lane_queues as groups
        where active
    ) as oldest
    where (lane_queues.mode, lane_queues.lane, lane_queues.priority) = (oldest.mode, oldest.lane, oldest.priority)
      and (lane_queues.floor_at > oldest.floor_at or lane_queues.floor_at < oldest.floor_at - interval '4 s');
    update lane_queues
    set active = false
    from lanes
    where active and lanes.lane = lane_queues.lane and served_at < now() - interval '10 minutes'
      and not exists (
          select
          from queue
          where queue.mode = lane_queues.mode and queue.lane = lane_queues.lane and queue.priority = lane_queues.priority
            and queue.state = 'ready'
      );
    with recursive groups as (
        (select mode, lane, priority from queue where state = 'ready' order by mode, lane, priority limit 1)
        union all
        select following.*
        from groups
        cross join lateral (
            select mode, lane, priority
            from queue
            where state = 'ready' and (mode, lane, priority) > (groups.mode, groups.lane, groups.priority)
            order by mode, lane, priority
            limit 1
        ) as following
    )
    update lane_queues
    set active = true, floor_at = '-infinity'
    from groups
    where (lane_queues.mode, lane_queues.lane, lane_queues.priority) = (groups.mode, groups.lane, groups.priority) and not active;
end
$$;

insert into lanes (lane) select distinct lane from queue where state = 'ready';
insert into lane_queues (mode, lane, priority) select distinct mode, lane, priority from queue where state = 'ready';

create index queue_ready_by_lane on queue (mode, lane, priority, run_at, job_id) where state = 'ready';
drop index queue_ready;

-- What is decided already only has to be told to somebody: neither a gate nor a full lane holds that back.
create index queue_decided on queue (mode, run_at, job_id) where state = 'ready' and outcome_pending is not null;

-- What waits for a moment, and what rests: small sets that are looked at whole.
create index queue_due on queue (run_at, job_id) where state = 'waiting' and waiting_for <> 'triage';
create index queue_dead on queue (job_id) where state = 'dead';

-- The pause before the next attempt: exponential, with full jitter.
create function backoff(attempt integer, base_secs float8, most_secs float8) returns interval language sql volatile as $$
    select make_interval(secs => random() * least(most_secs, base_secs * power(2, least(attempt, 30) - 1)))
$$;

-- What follows when a lease ends without a result, however it ended: another attempt at `again_at` (of triage where
-- triage had it), or the end, where that is decided, asked for (stop), or nothing is left to try (`over`). Only an end
-- that is decided just now comes at once; one that could not be told pauses like any attempt.
create function after_attempt(
    over boolean, cause text, again_at timestamptz, moment timestamptz,
    mode text, waiting_for text, cancel_requested boolean, outcome_pending jsonb
) returns table (state text, waiting_for text, mode text, outcome_pending jsonb, run_at timestamptz)
language sql immutable as $$
    select case when ending.outcome is null and $6 = 'triage' then 'waiting' else 'ready' end,
           case when ending.outcome is null then $6 end,
           case when ending.outcome is null then $5 else coalesce($5, 'mechanic') end,
           ending.outcome,
           case when ending.outcome is not null and $8 is null then $4 else $3 end
    from (
        select coalesce($8,
            case when $7 then jsonb_build_object('outcome', 'stopped')
                 when $1 then jsonb_build_object('outcome', 'dead', 'cause', $2) end) as outcome
    ) as ending
$$;
