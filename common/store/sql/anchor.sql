-- $1 least age of the last anchor in seconds
-- A database that was restored into another server counts its transactions anew: then everything is looked at again.
with last as (
    select anchor_no, at, below_xid, hash from anchors order by anchor_no desc limit 1
), span as (
    select pg_snapshot_xmin(pg_current_snapshot()) as below_xid,
           (select case when below_xid <= pg_snapshot_xmin(pg_current_snapshot()) then below_xid else '0' end from last) as from_xid
), moved as (
    select job_id from ledger where xid >= (select from_xid from span) and xid < (select below_xid from span)
    union
    select job_id from ledger where not exists (select from last)
), tips as (
    select moved.job_id, tip.seq, tip.hash
    from moved
    cross join lateral (select seq, hash from ledger where ledger.job_id = moved.job_id order by seq desc limit 1) as tip
), folded as (
    select count(*) as heads,
           coalesce(string_agg(job_id || ' ' || seq || ' ' || encode(hash, 'hex'), E'\n' order by job_id), '') as text
    from tips
), anchored as (
    insert into anchors (anchor_no, at, below_xid, heads, previous, hash)
    select coalesce(last.anchor_no, 0) + 1, now(), span.below_xid, folded.heads, chain.previous,
           anchor_hash(chain.previous, coalesce(last.anchor_no, 0) + 1, now(), '', folded.text)
    from span
    cross join folded
    left join last on true
    cross join lateral (select coalesce(last.hash, decode(repeat('00', 32), 'hex')) as previous) as chain
    where folded.heads > 0 and (last.at is null or last.at <= now() - make_interval(secs => $1))
    returning anchor_no, heads, hash
), kept as (
    insert into anchor_heads (anchor_no, job_id, seq, head)
    select anchored.anchor_no, tips.job_id, tips.seq, tips.hash from anchored cross join tips
)
select anchor_no, heads, hash from anchored
