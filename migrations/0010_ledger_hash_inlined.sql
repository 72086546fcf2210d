-- Its body is stable (extract, convert_to), so as an immutable function it could never become part of the calling
-- statement's plan, and every ledger row paid for a function call with a plan of its own.
alter function ledger_hash stable;
