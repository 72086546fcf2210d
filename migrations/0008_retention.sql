-- As before, and: a partition is made beside its parent and then attached, since making it in one go would lock the
-- parent against every reader and writer; rows of the month that went to the default partition meanwhile come along,
-- since with them in there it could not be made at all. Who waits longer than two seconds for a lock gives way.
create or replace function create_partitions(ahead integer) returns void
language plpgsql
set lock_timeout = '2s'
as $$
declare
    parent text;
    child text;
    fallback text;
    month timestamp;
    lowest uuid;
    below uuid;
begin
    perform pg_advisory_xact_lock(102163008);
    for i in 0..ahead loop
        month := date_trunc('month', now() at time zone 'UTC') + make_interval(months => i);
        lowest := uuid_at(month at time zone 'UTC');
        below := uuid_at((month + interval '1 month') at time zone 'UTC');
        foreach parent in array array['steps', 'events', 'ledger'] loop
            child := parent || to_char(month, '_YYYY_MM');
            fallback := parent || '_other';
            continue when to_regclass(child) is not null;
            execute format('create table %I (like %I including all)', child, parent);
            execute format('lock table %I in access exclusive mode', fallback);
            execute format('alter table %I disable trigger %I', fallback, parent || '_append_only');
            execute format('with strays as (delete from %I where job_id >= %L and job_id < %L returning *) insert into %I select * from strays',
                fallback, lowest, below, child);
            execute format('alter table %I enable trigger %I', fallback, parent || '_append_only');
            execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, child, lowest, below);
            perform keep_rows(array[child]);
        end loop;
    end loop;
end
$$;

-- The partitions of months that ended more than `keep` months ago: this month and the `keep` before it stay.
create function months_to_retire(parent_name text, keep integer)
returns table (partition_name text, month date, size_bytes bigint, about_rows bigint, unfinished bigint)
language sql stable as $$
    select child.relname::text, named.month, pg_total_relation_size(child.oid), greatest(child.reltuples, 0)::bigint,
           (select count(*) from queue
            where job_id >= uuid_at(named.month::timestamp at time zone 'UTC')
              and job_id < uuid_at((named.month + interval '1 month') at time zone 'UTC'))
    from pg_inherits
    join pg_class child on child.oid = pg_inherits.inhrelid
    cross join lateral (select to_date(right(child.relname, 7), 'YYYY_MM') as month) as named
    where pg_inherits.inhparent = to_regclass(parent_name)
      and child.relname ~ '_[0-9]{4}_[0-9]{2}$'
      and named.month < date_trunc('month', now() at time zone 'UTC') - make_interval(months => keep)
    order by named.month
$$;

-- Takes a month out of a table: its partition is detached, which locks the table for a moment and no longer than two
-- seconds are waited for, and lies beside it until drop_retired. The ledger's months go by the hand of its owner only, and
-- an anchor says so, so that a verification does not take it for a theft.
create function retire_month(parent_name text, retired_month date) returns void
language plpgsql
set lock_timeout = '2s'
as $$
declare
    child constant text := parent_name || to_char(retired_month, '_YYYY_MM');
    lowest constant uuid := uuid_at(date_trunc('month', retired_month)::timestamp at time zone 'UTC');
    below constant uuid := uuid_at((date_trunc('month', retired_month) + interval '1 month')::timestamp at time zone 'UTC');
    gone constant text := format('%s %s %s', child, lowest, below);
    last record;
begin
    if parent_name not in ('steps', 'events', 'ledger') then
        raise exception 'no table % with months', parent_name using errcode = 'invalid_parameter_value';
    end if;
    if parent_name = 'ledger' and not pg_has_role(session_user, (select relowner from pg_class where oid = 'ledger'::regclass), 'member') then
        raise exception 'only the owner of the ledger may drop a month of it' using errcode = 'insufficient_privilege';
    end if;
    if below > uuid_at(now()) then
        raise exception 'the month of % is not over', child using errcode = 'invalid_parameter_value';
    end if;
    if exists (select from queue where job_id >= lowest and job_id < below) then
        raise exception '% holds rows of unfinished jobs', child using errcode = 'object_in_use';
    end if;
    if parent_name = 'ledger' then
        perform pg_advisory_xact_lock(102163007);
        select anchor_no, below_xid, hash into last from anchors order by anchor_no desc limit 1;
        insert into anchors (anchor_no, at, below_xid, heads, retired, previous, hash)
        select number, now(), coalesce(last.below_xid, '0'), 0, gone, previous, anchor_hash(previous, number, now(), gone, '')
        from (select coalesce(last.anchor_no, 0) + 1 as number, coalesce(last.hash, decode(repeat('00', 32), 'hex')) as previous) as next;
    end if;
    execute format('alter table %I detach partition %I', parent_name, child);
end
$$;

-- Drops a month that was taken out, also one of an earlier attempt that came no further.
create function drop_retired(parent_name text, retired_month date) returns void
language plpgsql
set lock_timeout = '2s'
as $$
declare
    child constant text := parent_name || to_char(retired_month, '_YYYY_MM');
begin
    if parent_name not in ('steps', 'events', 'ledger') or exists (select from pg_class where oid = to_regclass(child) and relispartition) then
        raise exception '% was not taken out of a table', child using errcode = 'invalid_parameter_value';
    end if;
    execute format('drop table if exists %I', child);
end
$$;

-- Months that were taken out and are still there.
create function months_to_drop() returns table (parent_name text, month date) language sql stable as $$
    select parts[1], to_date(parts[2], 'YYYY_MM')
    from pg_class
    cross join lateral regexp_match(relname, '^(steps|events|ledger)_([0-9]{4}_[0-9]{2})$') as parts
    where parts is not null and relkind = 'r' and not relispartition and relnamespace = current_schema()::regnamespace
$$;

create index deliveries_bodies on deliveries (received_at) where body is not null;
create index job_keys_expiry on job_keys (expires_at);
