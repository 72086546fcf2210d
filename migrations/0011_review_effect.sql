-- A review is an effect too.
alter table effects drop constraint effects_name_check;
alter table effects add constraint effects_name_check check (name in ('branch', 'pull_request', 'comment', 'review')) not valid;
alter table effects validate constraint effects_name_check;
