-- $1 holder, $2 how long it may hold the channel, $3 s between edits for progress alone, $4 s that one mutation costs its channel
with due as (
    select channels.channel, part.outbox_id, part.seq, part.state
    from outbox_channels channels
    cross join lateral (
        select greatest(
            make_interval(secs => $3::double precision),
            count(*) * 2 * make_interval(secs => $4::double precision)) as edits
        from outbox
        where outbox.channel = channels.channel and done_at is null and part in ('comment', 'check_run') and shown_state like 'leased%'
    ) load
    cross join lateral (
        select outbox.outbox_id, news.seq, news.state,
               outbox.urgency + case when news.state is not distinct from outbox.shown_state and outbox.shown_state is not null then 100 else 0 end as rank
        from outbox
        left join jobs on jobs.job_id = outbox.job_id
        left join queue on queue.job_id = outbox.job_id
        cross join lateral (
            select coalesce(queue.event_seq, outbox.shown_seq) as seq,
                   case
                       when outbox.part not in ('comment', 'check_run') then null
                       when jobs.finished_at is not null then 'finished'
                       when queue.cancel_requested then 'stopping'
                       when queue.state = 'waiting' then 'waiting ' || queue.waiting_for
                       else concat_ws(' ', queue.state, queue.mode)
                   end as state
        ) news
        where outbox.channel = channels.channel and outbox.done_at is null and outbox.due_at <= now()
          and (outbox.part not in ('comment', 'check_run')
               or news.state is distinct from outbox.shown_state
               or news.seq > outbox.shown_seq and outbox.due_at + load.edits <= now())
          -- A check run is of a commit, which a job has only once it is prepared; one that never was has none.
          and (outbox.part <> 'check_run' or jobs.base_commit is not null or jobs.finished_at is not null)
        order by rank, outbox.due_at
        limit 1
    ) part
    where channels.next_mutation_at <= now() and channels.held_until <= now()
    order by part.rank, channels.next_mutation_at
    limit 1
    for update of channels skip locked
), held as (
    update outbox_channels
    set holder = $1, held_until = now() + make_interval(secs => $2::double precision)
    from due
    where outbox_channels.channel = due.channel
    returning outbox_channels.channel
)
select outbox.outbox_id, outbox.channel, outbox.repository, outbox.job_id, outbox.key, outbox.detail as "detail: Json<Part>", outbox.remote_id,
       outbox.attempt, due.seq as "seq!", due.state
from due
join held on held.channel = due.channel
join outbox on outbox.outbox_id = due.outbox_id
