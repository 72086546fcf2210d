-- A job that a mechanic handed over to a genius: the event that says what was tried and what had been spent by then.
-- null = never, and it happens once at the most.
alter table queue add column handed_over bigint;

-- What a job has spent counts for the mode that it has. When that changes, so do the budgets of both modes, by the days on
-- which the money was held back. Called by the statement that changes the mode, after it has locked the queue row.
create function move_spend(spending uuid, job_repository text, from_mode text, to_mode text) returns void
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
    perform open_gates(array[from_scope, to_scope]), close_gates(array[from_scope, to_scope]);
end
$$;
