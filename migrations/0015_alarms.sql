-- alarms: one row for each change of an alarm's state, whichever ways it was told. What is meant to be done is written before it is, what
-- was done beside it in its own transaction, so that whoever goes on after a crash knows both.
create table alarms (
    alarm_id      bigint generated always as identity primary key,
    key           text not null unique,               -- alarm, state and moment: two deliveries with one key are one change
    name          text not null,
    state         text not null check (state in ('OK', 'ALARM', 'INSUFFICIENT_DATA')),
    changed_at    timestamptz not null,               -- by the clock of whoever watches
    change        jsonb not null,                     -- all that is known of it
    reaction      text not null,                      -- the suffix of the alarms that are answered alike, or unknown
    intended      text not null,                      -- what is to be done
    received_at   timestamptz not null default now(),
    deliveries    integer not null default 1,
    epoch         bigint not null default 0,          -- raised whenever somebody takes it up
    held_until    timestamptz,                        -- whoever took it up acts until then
    actions       jsonb not null default '[]',        -- what was done
    problem       text,                               -- why the last try came to no end
    completed_at  timestamptz
) with (fillfactor = 80);

-- What was told of an alarm before.
create index alarms_of_name on alarms (name, changed_at);

-- A gate that an alarm closed (its detail names it) stays when a call is settled or a job changes hands, since no budget of ours
-- says when there is room again: it opens at its time, or when a person sets or removes the budget of its scope.
create function not_closed_by_alarm(scopes text[]) returns text[] language sql stable as $$
    select array(
        select scope
        from unnest(scopes) as asked (scope)
        where not exists (select from gates where gates.scope = asked.scope and reason = 'budget' and detail ? 'alarm' and until > now()))
$$;

create or replace function close_gates(scopes text[]) returns void language sql as $$
    insert into gates (scope, reason, until, detail)
    select scope, 'budget', (day + 1)::timestamp at time zone 'UTC',
           jsonb_build_object('limit_microusd', day_limit_microusd, 'used_microusd', reserved_microusd + settled_microusd)
    from budgets
    join budget_days using (scope)
    where scope = any(scopes) and day = (now() at time zone 'UTC')::date
      and (reserved_microusd + settled_microusd) * 100 >= day_limit_microusd * 99
    order by scope
    on conflict (scope, reason) do update set until = excluded.until, detail = excluded.detail
    where gates.until <> excluded.until and not (gates.detail ? 'alarm' and gates.until > excluded.until)
$$;

create or replace function settle_spend(spending uuid, job_repository text, job_mode text, reservation bigint, settled bigint) returns void
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
    perform open_gates(not_closed_by_alarm(scopes));
end
$$;

create or replace function move_spend(spending uuid, job_repository text, from_mode text, to_mode text) returns void
language plpgsql as $$
declare
    from_scope constant text := 'mode:' || from_mode;
    to_scope constant text := 'mode:' || to_mode;
    today constant date := (now() at time zone 'UTC')::date;
    spent record;
begin
    lock table budget_days in row exclusive mode;
    if from_mode is not distinct from to_mode or not exists (select from ledger where job_id = spending)
        or not exists (select from budget_days where scope in (from_scope, to_scope)
                       union all select from budgets where scope = to_scope) then
        return;
    end if;
    -- A day without a row began with nothing; of an earlier day nobody has kept count.
    insert into budget_days (scope, day) select scope, today from budgets where scope = to_scope on conflict do nothing;
    perform from budget_days where scope in (from_scope, to_scope) order by scope, day for update;
    for spent in
        select (reservation.at at time zone 'UTC')::date as day,
               coalesce(sum(reservation.cost_microusd) filter (where closing.job_id is null), 0)::bigint as reserved,
               coalesce(sum(closing.cost_microusd), 0)::bigint as settled
        from ledger reservation
        left join ledger closing on closing.job_id = reservation.job_id and closing.reservation_seq = reservation.seq
        where reservation.job_id = spending and reservation.kind = 'reserved'
        group by 1
    loop
        update budget_days
        set reserved_microusd = reserved_microusd + case scope when to_scope then spent.reserved else -spent.reserved end,
            settled_microusd = settled_microusd + case scope when to_scope then spent.settled else -spent.settled end
        where scope in (from_scope, to_scope) and day = spent.day;
    end loop;
    perform open_gates(not_closed_by_alarm(array[from_scope, to_scope])), close_gates(array[from_scope, to_scope]);
end
$$;
