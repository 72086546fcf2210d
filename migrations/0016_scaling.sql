-- scaling: when each mode was last seen with work. Workers go when that is long enough ago, so it is a row and no process's
-- memory: any number of always-on services decide alike, and one that has just started does not begin to wait anew.
create table scaling (
    mode     text primary key check (mode in ('mechanic', 'genius')),
    busy_at  timestamptz not null
) with (fillfactor = 50);
