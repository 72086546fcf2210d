-- The append-only tables. Partitioned by ranges of job_id: a UUIDv7 orders by time, so a month is a range
-- of ids, a job's rows lie together, uniqueness holds, and old months can be dropped whole.

-- steps: two halves each. `reply`: the model's answer, verbatim, stored before anything acts on it.
-- `results`: what its tools said, with a checkpoint of the workspace.
create table steps (
    job_id       uuid not null,
    step_no      integer not null check (step_no > 0),
    half         text not null check (half in ('reply', 'results')),
    epoch        bigint not null,
    created_at   timestamptz not null default now(),
    duration_ms  bigint not null,
    model        text,
    request      text,
    reply        text,
    results      jsonb,
    tree         text,                                -- the workspace after this step; null = as before
    pack         bytea,                               -- thin git pack of that tree against the base commit
    primary key (job_id, step_no, half),
    check ((half = 'reply') = (reply is not null and request is not null and model is not null)),
    check ((half = 'results') = (results is not null))
) partition by range (job_id);

create table events (
    job_id      uuid not null,
    seq         bigint not null,
    xid         xid8 not null default pg_current_xact_id(),  -- readers stay below the oldest open transaction
    created_at  timestamptz not null default now(),
    kind        text not null,
    data        jsonb not null,
    primary key (job_id, seq)
) partition by range (job_id);

-- ledger: money, in micro-dollars. One hash chain per job; domain::ledger computes the same hash.
create table ledger (
    job_id           uuid not null,
    seq              bigint not null check (seq > 0),
    at               timestamptz not null,
    kind             text not null check (kind in ('reserved', 'settled', 'released', 'settled_late')),
    step_no          integer not null,
    reservation_seq  bigint,
    model            text not null check (model <> '' and model !~ '[\r\n]'),
    uncached_input   bigint not null default 0 check (uncached_input >= 0),
    cache_read       bigint not null default 0 check (cache_read >= 0),
    cache_write      bigint not null default 0 check (cache_write >= 0),
    output           bigint not null default 0 check (output >= 0),
    cost_microusd    bigint not null check (cost_microusd >= 0),
    hash             bytea not null,
    primary key (job_id, seq),
    check ((kind = 'reserved') = (reservation_seq is null))
) partition by range (job_id);

-- A reservation is closed once.
create unique index ledger_closes on ledger (job_id, reservation_seq) where reservation_seq is not null;

create function ledger_hash(
    previous bytea, job_id uuid, seq bigint, at timestamptz, kind text, step_no integer, reservation_seq bigint,
    model text, uncached_input bigint, cache_read bigint, cache_write bigint, output bigint, cost_microusd bigint
) returns bytea language sql immutable parallel safe as $$
    select sha256(previous || convert_to(concat_ws(E'\n',
        job_id::text, seq::text, (extract(epoch from at) * 1000000)::bigint::text, kind, step_no::text,
        coalesce(reservation_seq::text, ''), model, uncached_input::text, cache_read::text, cache_write::text,
        output::text, cost_microusd::text), 'UTF8'))
$$;

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused', tg_table_name, lower(tg_op) using errcode = 'insufficient_privilege';
end
$$;

create trigger steps_append_only before update or delete on steps for each row execute function refuse_change();
create trigger events_append_only before update or delete on events for each row execute function refuse_change();
create trigger ledger_append_only before update or delete on ledger for each row execute function refuse_change();

-- A trigger for rows is on every partition by itself; one for truncate has to be put there.
create function keep_rows(tables text[]) returns void language plpgsql as $$
declare
    kept text;
begin
    foreach kept in array tables loop
        execute format('create or replace trigger keep before truncate on %I for each statement execute function refuse_change()', kept);
    end loop;
end
$$;

-- The lowest UUIDv7 of a moment: 48 bits of Unix milliseconds, version 7, zeros.
create function uuid_at(moment timestamptz) returns uuid language sql immutable parallel safe as $$
    select (lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
$$;

-- Creates the partitions of this month and the `ahead` following ones where they are missing. Processes that
-- start at the same time wait for each other.
create function create_partitions(ahead integer) returns void language plpgsql as $$
declare
    parent text;
    name text;
    month timestamptz;
begin
    for i in 0..ahead loop
        month := (date_trunc('month', now() at time zone 'UTC') + make_interval(months => i)) at time zone 'UTC';
        foreach parent in array array['steps', 'events', 'ledger'] loop
            name := parent || to_char(month at time zone 'UTC', '_YYYY_MM');
            continue when to_regclass(name) is not null;
            execute format('create table %I partition of %I for values from (%L) to (%L)',
                name, parent, uuid_at(month), uuid_at((month at time zone 'UTC' + interval '1 month') at time zone 'UTC'));
            perform keep_rows(array[name]);
        end loop;
    end loop;
end
$$;

-- Where a job goes whose month has no partition: late, but never lost.
create table steps_other partition of steps default;
create table events_other partition of events default;
create table ledger_other partition of ledger default;

select keep_rows(array['steps', 'events', 'ledger', 'steps_other', 'events_other', 'ledger_other']);
select create_partitions(2);
