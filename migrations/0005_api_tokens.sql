-- api_tokens: who may use the REST API. Only the hash of a token's secret part is here; the token itself was printed
-- once, to whoever made it.
create table api_tokens (
    token_id      text primary key check (token_id ~ '^[0-9a-f]{12}$'),  -- the public part, in logs and lists
    name          text not null check (name <> ''),                      -- whose it is, for people
    hash          bytea not null check (octet_length(hash) = 32),        -- SHA-256 of 256 random bits: needs no salt
    scopes        text[] not null check (scopes <> '{}' and scopes <@ array['jobs:read', 'jobs:write', 'admin']),
    created_at    timestamptz not null default now(),
    expires_at    timestamptz,                                           -- null = never
    last_used_at  timestamptz,                                           -- to some minutes
    revoked_at    timestamptz
);

-- A name in force stands for one token; revoked ones stay, so that a log that names them can be read.
create unique index api_tokens_name on api_tokens (name) where revoked_at is null;

-- What live streams find new events by. A block range index costs the writers of events no WAL (a btree on xid:
-- 67 bytes an event), because new rows go to ranges that are not summarized yet. xid8 has no operator class for it.
create index events_feed on events using brin ((xid::text::bigint)) with (pages_per_range = 32, autosummarize = on);
