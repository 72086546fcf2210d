-- Append-only by privilege as well as by trigger. The role that migrates owns the tables; the application and people
-- who read get roles of their own. What nobody but the owner may do, and the application still needs, is done by
-- functions that run as the owner.
do $$
declare
    definer text;
begin
    foreach definer in array array['create_partitions(integer)', 'retire_month(text, date)', 'drop_retired(text, date)'] loop
        execute format('alter function %s security definer set search_path = %I, pg_temp', definer, current_schema());
        execute format('revoke execute on function %s from public', definer);
    end loop;
end
$$;

-- Gives `app` what the product needs and `reader` what people who look need, and again to every role that has it
-- already, for the tables that came since. Called by `codeteam migrate`, as the owner.
create function grant_roles(apps text[], readers text[]) returns void language plpgsql as $$
declare
    grown constant text[] := array['steps', 'events', 'ledger', 'anchors', 'anchor_heads', 'ledger_verified'];
    hidden constant text[] := array['api_tokens'];
    owner constant oid := (select relowner from pg_class where oid = 'jobs'::regclass);
    role text;
    kept text;
begin
    if not pg_has_role(current_user, owner, 'member') then
        raise exception 'only the owner of the tables, %, may grant', owner::regrole using errcode = 'insufficient_privilege';
    end if;
    foreach role in array apps || readers loop
        if not exists (select from pg_roles where rolname = role) then
            raise exception 'no role "%": create it first, such as: create role % login', role, quote_ident(role) using errcode = 'undefined_object';
        end if;
        if exists (select from pg_roles where rolname = role and (rolsuper or pg_has_role(oid, owner, 'member'))) then
            raise exception 'role "%" owns the tables or is a superuser: nothing can be kept from it', role using errcode = 'invalid_grant_operation';
        end if;
    end loop;
    apps := apps || array(
        select grantee::regrole::text
        from pg_class
        cross join lateral aclexplode(relacl)
        where oid = 'jobs'::regclass and privilege_type = 'INSERT' and grantee not in (owner, 0));
    readers := readers || array(
        select grantee::regrole::text
        from pg_class
        cross join lateral aclexplode(relacl)
        where oid = 'jobs'::regclass and privilege_type = 'SELECT' and grantee not in (owner, 0));
    for role in select distinct trim(both '"' from name) from unnest(apps || readers) as name loop
        execute format('grant usage on schema %I to %I', current_schema(), role);
        for kept in
            select relname from pg_class
            where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p') and not relispartition and relowner = owner
        loop
            execute format('revoke all on %I from %I', kept, role);
            if role = any(apps) or quote_ident(role) = any(apps) then
                execute format('grant %s on %I to %I',
                    case when kept = '_sqlx_migrations' then 'select' when kept = any(grown) then 'select, insert'
                         else 'select, insert, update, delete' end,
                    kept, role);
            elsif kept <> all(hidden) then
                execute format('grant select on %I to %I', kept, role);
            end if;
        end loop;
        if role = any(apps) or quote_ident(role) = any(apps) then
            execute format('grant execute on function create_partitions(integer), retire_month(text, date), drop_retired(text, date) to %I', role);
        end if;
    end loop;
end
$$;
