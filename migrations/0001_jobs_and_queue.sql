-- jobs: one row per request, for ever. Written at enqueue, once at prepare (base_commit) and once at the end.
create table jobs (
    job_id          uuid primary key,                 -- UUIDv7: sorts by creation
    created_at      timestamptz not null default now(),
    repository      text not null,                    -- owner/name; the lane of the queue
    remote          text,                             -- where to clone and push; null = ask the forge
    kind            text not null check (kind in ('change', 'analysis', 'review', 'question')),
    mode            text check (mode in ('mechanic', 'genius')),  -- null until triage decides
    model           text,                             -- null = the mode's first
    trigger         jsonb not null,
    input           jsonb not null,                   -- title, body, number, requester, base: frozen
    caps            jsonb,                            -- lower caps than the mode's
    retry_of        uuid references jobs,
    base_commit     text,                             -- set when first prepared; every resume starts from it
    finished_at     timestamptz,
    outcome         text check (outcome in ('succeeded', 'capped', 'failed', 'stopped', 'dead', 'refused')),
    outcome_detail  jsonb,
    links           jsonb,                            -- branch, pull request, comment
    steps           integer,
    tokens          bigint,
    cost_microusd   bigint,
    active_ms       bigint,
    ledger_seq      bigint,
    ledger_head     bytea,
    check ((finished_at is null) = (outcome is null))
);

-- queue: the hot row of an unfinished (or dead) job. Narrow, updated in place (HOT), deleted at finalize.
-- lease_until is deliberately in no index: renewing a lease must not touch one.
create table queue (
    job_id            uuid primary key references jobs,
    lane              text not null,
    mode              text check (mode in ('mechanic', 'genius')),
    priority          smallint not null default 0,    -- smaller runs first
    state             text not null check (state in ('ready', 'leased', 'waiting', 'dead')),
    waiting_for       text,                           -- triage, budget, answer; kept while triage holds the lease
    run_at            timestamptz not null default now(),
    attempt           integer not null default 0,     -- attempts since the last progress
    epoch             bigint not null default 0,      -- raised at every change of hands; every worker write names it
    owner             uuid,
    lease_until       timestamptz,
    retrying_since    timestamptz,                    -- the first passing fault since the last progress
    step_no           integer not null default 0,     -- the last step whose results are stored
    tokens            bigint not null default 0,
    cost_microusd     bigint not null default 0,      -- settled + open reservations in full
    active_ms         bigint not null default 0,
    cancel_requested  boolean not null default false,
    outcome_pending   jsonb,                          -- decided already; the next worker only finalizes
    event_seq         bigint not null default 0,
    ledger_seq        bigint not null default 0,
    ledger_head       bytea not null default '\x0000000000000000000000000000000000000000000000000000000000000000',
    check ((state = 'leased') = (owner is not null and lease_until is not null)),
    check (state <> 'waiting' or waiting_for is not null)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);

create index queue_ready on queue (mode, priority, run_at, job_id) where state = 'ready';
create index queue_triage on queue (run_at, job_id) where state = 'waiting' and waiting_for = 'triage';
create index queue_leased on queue (lane) where state = 'leased';

-- job_keys: two requests with one key are one job, until the key expires.
create table job_keys (
    key         text primary key,
    job_id      uuid not null,
    expires_at  timestamptz not null
);

-- deliveries: every webhook that carried a valid signature, with what came of it.
create table deliveries (
    delivery_id  text primary key,
    event        text not null,
    received_at  timestamptz not null default now(),
    body         bytea,                               -- dropped after 30 days
    job_id       uuid,
    ignored      text                                 -- why no job came of it
);

-- effects: what a job does outside the database. Intent before, confirmed after, looked up before created.
create table effects (
    job_id        uuid not null references jobs,
    name          text not null check (name in ('branch', 'pull_request', 'comment')),
    state         text not null check (state in ('intended', 'confirmed')),
    detail        jsonb not null,
    intended_at   timestamptz not null default now(),
    confirmed_at  timestamptz,
    primary key (job_id, name)
);
