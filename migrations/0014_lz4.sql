-- Requests, replies and results are long texts that are compressed in the statement that writes them, while a job waits
-- for it. lz4 takes less than half of the time of PostgreSQL's own method for them. A server that was built without it keeps
-- that one; so does what is stored already. A checkpoint is a git pack, compressed by itself: another attempt only takes time.
do $$
declare
    part regclass;
begin
    for part in select relid from pg_partition_tree('steps') loop
        execute format(
            'alter table %s
                 alter column request set compression lz4, alter column reply set compression lz4,
                 alter column results set compression lz4, alter column pack set storage external',
            part
        );
    end loop;
exception
    when feature_not_supported then
        raise notice 'this server has no lz4: steps are compressed as before';
end
$$;
