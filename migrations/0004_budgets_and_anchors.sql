-- budgets: the most that a scope may spend in a UTC day. A scope is `all`, `mode:mechanic`, `mode:genius` or
-- `repository:owner/name`; one without a row has no limit.
create table budgets (
    scope               text primary key,
    day_limit_microusd  bigint not null check (day_limit_microusd between 0 and 1000000000000000),
    set_at              timestamptz not null default now(),
    check (scope in ('all', 'mode:mechanic', 'mode:genius') or scope like 'repository:_%/_%')
);

-- budget_days: what a scope with a budget has spent on a day. A reservation belongs to the day on which it was
-- made, and so does whatever closes it later. Updated in place, in the statement that writes the ledger's row.
create table budget_days (
    scope              text not null,
    day                date not null,
    reserved_microusd  bigint not null default 0,     -- open reservations, in full
    settled_microusd   bigint not null default 0,
    warned_at          timestamptz,                   -- when 80 % were passed
    primary key (scope, day)
) with (fillfactor = 50);

-- The scopes that a job belongs to.
create function scopes_of(repository text, mode text) returns text[] language sql immutable parallel safe as $$
    select array['all', 'mode:' || mode, 'repository:' || repository]
$$;

-- What the ledger says that a scope has spent on a day: the truth that budget_days keeps at hand.
create function spent_on(spending text, spent date) returns table (reserved_microusd bigint, settled_microusd bigint)
language sql stable as $$
    select coalesce(sum(reservation.cost_microusd) filter (where closing.job_id is null), 0)::bigint,
           coalesce(sum(closing.cost_microusd), 0)::bigint
    from ledger reservation
    join jobs on jobs.job_id = reservation.job_id
    left join ledger closing on closing.job_id = reservation.job_id and closing.reservation_seq = reservation.seq
    where reservation.kind = 'reserved'
      and reservation.at >= spent::timestamp at time zone 'UTC'
      and reservation.at < (spent + 1)::timestamp at time zone 'UTC'
      and spending = any(scopes_of(jobs.repository, jobs.mode))
$$;

-- Holds `amount` back in every budget that a job belongs to, or in none. Called by the statement that writes the
-- reservation, after it has locked the queue row; locks the budgets' rows in the order of their scopes.
-- `refused` names the budget without room. It comes back at midnight, or soon when only reservations that are
-- still open stand in the way. A scope of which less than 1 % is left is closed by a gate: nobody claims into it.
create function reserve_spend(job_repository text, job_mode text, amount bigint)
returns table (granted boolean, refused jsonb, again_at timestamptz, warnings jsonb)
language plpgsql rows 1 as $$
declare
    scopes constant text[] := scopes_of(job_repository, job_mode);
    today constant date := (now() at time zone 'UTC')::date;
    midnight constant timestamptz := (today + 1)::timestamp at time zone 'UTC';
    budget record;
begin
    granted := true;
    warnings := '[]';
    -- Whoever sets a budget waits until this transaction has ended, or this one until the budget is there.
    lock table budget_days in row exclusive mode;
    if not exists (select from budgets where budgets.scope = any(scopes)) then
        return next;
        return;
    end if;
    insert into budget_days (scope, day)
    select budgets.scope, today from budgets where budgets.scope = any(scopes) order by budgets.scope
    on conflict do nothing;
    for budget in
        select scope, day_limit_microusd, reserved_microusd + settled_microusd as used, settled_microusd, warned_at
        from budgets
        join budget_days using (scope)
        where scope = any(scopes) and day = today
        order by scope
        for update of budget_days
    loop
        if budget.used + amount > budget.day_limit_microusd then
            granted := false;
            if refused is null or budget.settled_microusd + amount > budget.day_limit_microusd then
                refused := jsonb_build_object('scope', budget.scope, 'limit_microusd', budget.day_limit_microusd,
                    'used_microusd', budget.used, 'asked_microusd', amount);
                again_at := case when budget.settled_microusd + amount > budget.day_limit_microusd then midnight
                    else now() + make_interval(secs => 30 + random() * 30) end;
            end if;
        elsif budget.warned_at is null and (budget.used + amount) * 100 >= budget.day_limit_microusd * 80 then
            warnings := warnings || jsonb_build_object('scope', budget.scope, 'limit_microusd', budget.day_limit_microusd,
                'used_microusd', budget.used + amount);
        end if;
    end loop;
    if granted then
        update budget_days
        set reserved_microusd = budget_days.reserved_microusd + amount,
            warned_at = case when warnings @> jsonb_build_array(jsonb_build_object('scope', budget_days.scope)) then now() else budget_days.warned_at end
        where budget_days.scope = any(scopes) and day = today;
    else
        warnings := '[]';
    end if;
    perform close_gates(scopes);
    return next;
end
$$;

-- Closes the scopes of which less than 1 % is left, until midnight. The caller holds their rows of budget_days.
create function close_gates(scopes text[]) returns void language sql as $$
    insert into gates (scope, reason, until, detail)
    select scope, 'budget', (day + 1)::timestamp at time zone 'UTC',
           jsonb_build_object('limit_microusd', day_limit_microusd, 'used_microusd', reserved_microusd + settled_microusd)
    from budgets
    join budget_days using (scope)
    where scope = any(scopes) and day = (now() at time zone 'UTC')::date
      and (reserved_microusd + settled_microusd) * 100 >= day_limit_microusd * 99
    order by scope
    on conflict (scope, reason) do update set until = excluded.until, detail = excluded.detail where gates.until <> excluded.until
$$;

-- Opens the scopes that have room again. The caller holds their rows of budget_days.
create function open_gates(scopes text[]) returns void language sql as $$
    delete from gates
    where scope = any(scopes) and reason = 'budget'
      and not exists (
          select from budgets
          join budget_days using (scope)
          where scope = gates.scope and day = (now() at time zone 'UTC')::date
            and (reserved_microusd + settled_microusd) * 100 >= day_limit_microusd * 99)
$$;

-- Closes a reservation in the budgets that it was held back in. Called by the statement that writes the closing row.
create function settle_spend(spending uuid, job_repository text, job_mode text, reservation bigint, settled bigint) returns void
language plpgsql as $$
declare
    scopes constant text[] := scopes_of(job_repository, job_mode);
    held bigint;
    spent date;
begin
    lock table budget_days in row exclusive mode;
    if not exists (select from budget_days where scope = any(scopes)) then
        return;
    end if;
    select cost_microusd, (at at time zone 'UTC')::date into held, spent from ledger where job_id = spending and seq = reservation;
    perform from budget_days where scope = any(scopes) and day = spent order by scope for update;
    if not found then
        return;
    end if;
    update budget_days
    set reserved_microusd = reserved_microusd - held, settled_microusd = settled_microusd + settled
    where scope = any(scopes) and day = spent;
    perform open_gates(scopes);
end
$$;

-- Which transaction wrote a row: all rows below a snapshot's xmin are final, so whoever goes on from there misses
-- none, in whatever order they committed. The rows that are there already keep null; the first anchor has them all.
alter table ledger add column xid xid8;
alter table ledger alter column xid set default pg_current_xact_id();
create index ledger_moved on ledger (xid);
-- Rows come in the order of their time: a few bytes for every 32 pages find a day.
create index ledger_at on ledger using brin (at) with (pages_per_range = 32, autosummarize = on);

-- anchors: once a minute, the heads of all chains that moved since the anchor before, under one hash that is chained
-- and also goes to the log. What is anchored cannot be cut off or written anew without breaking this chain.
create table anchors (
    anchor_no    bigint primary key check (anchor_no > 0),
    at           timestamptz not null,
    below_xid    xid8 not null,                       -- every row that was written by a lower transaction is covered
    heads        bigint not null,
    retired      text not null default '' check (retired !~ '[\r\n]'),  -- what retention dropped from the ledger, if this says so
    previous     bytea not null,
    hash         bytea not null
);

create table anchor_heads (
    anchor_no  bigint not null references anchors,
    job_id     uuid not null,
    seq        bigint not null,
    head       bytea not null,
    primary key (job_id, anchor_no)
);
create index anchor_heads_no on anchor_heads (anchor_no, job_id);

-- domain::anchor computes the same hash.
create function anchor_hash(previous bytea, anchor_no bigint, at timestamptz, retired text, heads text) returns bytea
language sql immutable parallel safe as $$
    select sha256(previous || convert_to(concat_ws(E'\n',
        anchor_no::text, (extract(epoch from at) * 1000000)::bigint::text, retired, heads), 'UTF8'))
$$;

-- ledger_verified: how far a verification without a fault has come; an incremental one goes on from the last.
create table ledger_verified (
    anchor_no    bigint primary key,
    hash         bytea not null,
    verified_at  timestamptz not null default now()
);

create trigger anchors_append_only before update or delete or truncate on anchors for each statement execute function refuse_change();
create trigger anchor_heads_append_only before update or delete or truncate on anchor_heads for each statement execute function refuse_change();
create trigger ledger_verified_append_only before update or delete or truncate on ledger_verified for each statement execute function refuse_change();
