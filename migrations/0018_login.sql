-- Makes `login` a role that may log in, and changes the one that is there already: with the password of `verifier`, which is
-- what PostgreSQL keeps of it (SCRAM-SHA-256), so that the password itself never comes here; or, where that is null, with tokens
-- of AWS's IAM. Called by `codeteam migrate`, as the owner, before it grants.
create function make_login(login text, verifier text, at_database text) returns void language plpgsql as $$
declare
    owner constant oid := (select relowner from pg_class where oid = 'jobs'::regclass);
    is_new constant boolean := not exists (select from pg_roles where rolname = login);
begin
    if at_database <> current_database() then
        raise exception 'DATABASE_APP_URL names the database "%", and the tables are in "%"', at_database, current_database()
            using errcode = 'invalid_catalog_name';
    end if;
    -- Above all it keeps its password: whoever migrates logs in by it.
    if exists (select from pg_roles where rolname = login and (rolsuper or pg_has_role(oid, owner, 'member'))) then
        raise exception 'role "%", which DATABASE_APP_URL names, owns the tables or is a superuser: nothing can be kept from it', login
            using errcode = 'invalid_grant_operation';
    end if;
    if verifier is null and not exists (select from pg_roles where rolname = 'rds_iam') then
        raise exception 'DATABASE_APP_URL has no password for role "%", and this server takes no tokens of IAM (it has no role rds_iam): write one into it', login
            using errcode = 'undefined_object';
    end if;
    execute format('%s role %I login password %L', case when is_new then 'create' else 'alter' end, login, verifier);
    if verifier is null then
        execute format('grant rds_iam to %I', login);
    elsif exists (select from pg_roles where rolname = 'rds_iam' and pg_has_role(login, oid, 'member')) then
        -- RDS asks its members for tokens alone.
        execute format('revoke rds_iam from %I', login);
    end if;
exception when insufficient_privilege then
    raise exception '% may not make or change role "%" (%): it needs CREATEROLE, and the admin option of a role that somebody else has made. Or have an administrator type: create role % login; % and migrate with --grant-app % and without DATABASE_APP_URL',
        current_user, login, sqlerrm, quote_ident(login),
        case when verifier is null then format('grant rds_iam to %I;', login) else format('\password %I', login) end, login
        using errcode = 'insufficient_privilege';
end
$$;
revoke execute on function make_login(text, text, text) from public;
