-- Tokens that a run tells beyond those of its steps, never below 0; null where the run tells none (greatest() passes over nulls).
create or replace macro tokens_left(told, of_steps) as
case when told is not null then greatest(told - coalesce(of_steps, 0), 0) end;
