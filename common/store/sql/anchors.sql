-- $1 from which number on
select anchor_no, at, heads, retired, previous, hash,
       (select string_agg(job_id || ' ' || seq || ' ' || encode(head, 'hex'), E'\n' order by job_id)
        from anchor_heads
        where anchor_heads.anchor_no = anchors.anchor_no) as heads_text
from anchors
where anchor_no >= $1
order by anchor_no
