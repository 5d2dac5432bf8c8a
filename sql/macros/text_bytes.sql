-- Bytes of a text; of one that is hidden (content = "hashed") those of the text that it stands for.
-- A hidden text says its own size: hmac:HEX:BYTES, of several joined logs one in each line, some with a mark of what it was.
create or replace macro text_bytes(written) as
case
    when
        starts_with(written, 'hmac:')
        and regexp_full_match(written, '(hmac:[0-9a-f]{32}:[0-9]{1,10}(:[a-z]+)?(\n|$))+')
    then
        cast(list_sum(cast(regexp_extract_all(written, 'hmac:[0-9a-f]+:([0-9]+)', 1) as bigint[])) as bigint)
        + len(regexp_extract_all(written, '\n'))
    else strlen(written)
end;
