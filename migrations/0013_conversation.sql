-- What is said on the forge beside results, and what people say there.

-- outbox: what is still to be said. A part that lives (the comment and the check run of a job) is written anew as the job goes on,
-- always as it stands at that moment; any other is said once. Rows that are done stay until their job's are cleared away.
create table outbox (
    outbox_id   bigint generated always as identity primary key,
    channel     text not null,                        -- whose mutations wait for each other: the owner of the repository
    repository  text not null,
    job_id      uuid references jobs,
    part        text not null check (part in ('reaction', 'comment', 'check_run', 'notice')),
    key         text not null unique,                 -- two with one key are one
    detail      jsonb not null,                       -- where it goes, and what it says where that does not follow from the job
    urgency     smallint not null,                    -- smaller goes first
    due_at      timestamptz not null default now(),
    shown_seq   bigint not null default 0,            -- the job's last event that is in what was sent
    shown_state text,                                 -- and its state there
    remote_id   bigint,                               -- what the forge calls it
    attempt     integer not null default 0,           -- failures since it was last sent
    problem     text,                                 -- the last of them
    done_at     timestamptz                           -- nothing is left to be said
) with (fillfactor = 70);

create index outbox_open on outbox (channel, urgency, due_at) where done_at is null;
create index outbox_job on outbox (job_id);

-- outbox_channels: one mutation at a time for each owner, at least a second apart, whoever sends it.
create table outbox_channels (
    channel           text primary key,
    next_mutation_at  timestamptz not null default '-infinity',
    holder            uuid,
    held_until        timestamptz not null default '-infinity'
) with (fillfactor = 50);

-- commands: what people asked of jobs on the forge (stop, hint, …), until somebody with a lease has looked who they are and done it.
create table commands (
    command_id   uuid primary key,                    -- UUIDv7
    created_at   timestamptz not null default now(),
    key          text not null unique,                -- one human action is one command, however often it is told
    repository   text not null,
    number       bigint,                              -- the issue or pull request; a button may have none
    job_id       uuid,                                -- the job whose button it was
    actor        text not null,
    command      jsonb not null,
    comment      jsonb,                               -- where it was said, if in a comment
    asked_at     timestamptz,                         -- when, by the forge's clock
    run_at       timestamptz not null default now(),
    attempt      integer not null default 0,
    held_until   timestamptz,                         -- whoever handles it does so until then
    epoch        bigint not null default 0,           -- raised at every change of hands
    done_at      timestamptz,
    result       jsonb,                               -- what came of it
    check (number is not null or job_id is not null)
);

create index commands_open on commands (run_at, command_id) where done_at is null;
create index commands_done on commands (done_at) where done_at is not null;

alter table deliveries add column command_id uuid;

-- The newest unfinished job of an issue is what a command means.
create index jobs_of_issue on jobs (repository, ((input ->> 'number')::bigint), job_id) where input ? 'number';

-- A pull request knows the job that opened it by the number that it got.
create index effects_of_pull_request on effects (((detail ->> 'number')::bigint)) where name = 'pull_request' and detail ? 'number';
