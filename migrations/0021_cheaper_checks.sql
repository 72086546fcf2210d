-- PostgreSQL reads a table's checks anew from their text in every statement that writes a row: those of three tables took a step as much of the
-- server as a third of its writes. What is left to the tables is what two columns say together; what a single one may hold is settled where
-- it is made.

-- Every ledger row is hashed by the statement that writes it, as part of its plan, and `hash` is not null: what is no row of a ledger
-- gets no hash.
create or replace function ledger_hash(
    previous bytea, job_id uuid, seq bigint, at timestamptz, kind text, step_no integer, reservation_seq bigint,
    model text, uncached_input bigint, cache_read bigint, cache_write bigint, output bigint, cost_microusd bigint
) returns bytea language sql stable parallel safe as $$
    select case
        when kind in ('reserved', 'settled', 'released', 'settled_late')
            and (kind = 'reserved') = (reservation_seq is null)
            and seq > 0
            and least(uncached_input, cache_read, cache_write, output, cost_microusd) >= 0
            and model <> '' and model !~ '[\r\n]'
        then sha256(previous || convert_to(concat_ws(E'\n',
            job_id::text, seq::text, (extract(epoch from at) * 1000000)::bigint::text, kind, step_no::text,
            coalesce(reservation_seq::text, ''), model, uncached_input::text, cache_read::text, cache_write::text,
            output::text, cost_microusd::text), 'UTF8'))
    end
$$;

alter table ledger
    drop constraint ledger_seq_check,
    drop constraint ledger_kind_check,
    drop constraint ledger_model_check,
    drop constraint ledger_uncached_input_check,
    drop constraint ledger_cache_read_check,
    drop constraint ledger_cache_write_check,
    drop constraint ledger_output_check,
    drop constraint ledger_cost_microusd_check,
    drop constraint ledger_check;

-- Words are the names of our own types, and who reads another one says so; a step's number is the queue's, and characters are counted.
alter table steps
    drop constraint steps_step_no_check,
    drop constraint steps_half_check,
    drop constraint steps_check2;
alter table queue
    drop constraint queue_mode_check,
    drop constraint queue_state_check;
