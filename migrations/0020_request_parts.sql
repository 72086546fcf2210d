-- A request begins and ends mostly as the one before it, and so all of them together would grow with the square of the conversation.
-- Kept is what stands between: `request`, and how much around it is as in the request of the job's step before. request_of() has it whole.
alter table steps
    add column request_head integer not null default 0,  -- characters at its beginning
    add column request_tail integer not null default 0,  -- and at its end
    add check (request_head >= 0 and request_tail >= 0);

-- The request of a step, byte for byte as it was sent; null where no reply is stored.
create function request_of(of_job uuid, of_step integer) returns text language plpgsql stable as $$
declare
    whole text;
    part record;
begin
    for part in
        select request, request_head, request_tail, step_no
        from steps
        where job_id = of_job and half = 'reply' and step_no <= of_step
        order by step_no
    loop
        whole := concat(left(whole, part.request_head), part.request, right(whole, part.request_tail));
    end loop;
    return case when part.step_no = of_step then whole end;
end
$$;
