-- schedules: jobs that come again by themselves. The next run is written down, so that it is made up for (or
-- left out, as `missed` says) when nobody was there at its time.
create table schedules (
    name         text primary key check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    cron         text not null,                       -- five fields, or @daily and its like
    time_zone    text not null,                       -- a name of the IANA database
    missed       text not null check (missed in ('skip', 'once', 'all')),
    job          jsonb not null,                      -- the job to write: a domain::NewJob
    enabled      boolean not null default true,
    next_run_at  timestamptz,                         -- null = never again, or not enabled
    last_run_at  timestamptz,                         -- the instant that the last job was for
    last_job_id  uuid,
    problem      text,                                -- why it was disabled by itself
    created_at   timestamptz not null default now()
);

create index schedules_due on schedules (next_run_at) where enabled;

-- workers: processes that take jobs. Seen every 10 s, forgotten a day after they were seen last. Nothing is
-- decided by this table: who holds a job says its lease. No index on seen_at, so that being seen touches none.
create table workers (
    owner       uuid primary key,
    host        text not null,
    task_arn    text,                                 -- where it runs on ECS
    modes       text[] not null,
    slots       integer not null check (slots > 0),
    version     text not null,
    started_at  timestamptz not null default now(),
    seen_at     timestamptz not null default now(),
    stopped_at  timestamptz                           -- it ended well
) with (fillfactor = 60);

-- leaders: what only one process of many does, such as publishing a figure about all of them. A row with an
-- end, and not an advisory lock of a session: behind a pooler no session is anybody's own.
create table leaders (
    role   text primary key,
    owner  uuid not null,
    until  timestamptz not null
) with (fillfactor = 60);
