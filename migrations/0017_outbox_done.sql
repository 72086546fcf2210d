-- What was said long ago is found without reading what is still to be said.
create index outbox_done on outbox (done_at) where done_at is not null;
