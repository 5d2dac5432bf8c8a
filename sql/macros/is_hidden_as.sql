-- Whether a text is hidden (content = "hashed") and says that it, or a log in it, was such a thing: traceback, error.
create or replace macro is_hidden_as(written, mark) as
starts_with(written, 'hmac:') and regexp_matches(written, 'hmac:[0-9a-f]{32}:[0-9]{1,10}:' || mark || '(\n|$)');
