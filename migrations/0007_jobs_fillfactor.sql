-- The row of a job is written at enqueue and grows once, at its end. Room on its page lets that be a HOT update: no index is
-- touched, and the log gets what changed instead of the whole row. Only pages that are filled from now on are affected.
alter table jobs set (fillfactor = 55);
