"""Bills in the warehouse: of each report, day and project the newest import counts."""

from pipeline.sqlfiles.duck import Connection

# A table of its own: duckdb 1.5 pushes filters of joins into frames, and pyarrow then refuses some of their texts.
_TAKEN = "create or replace temp table taken_bills as select columns(*) from new_billed_usage"

_NEWEST = """
create or replace temp table newest_bills as
select source, report, billed_on, project_id, max({'imported_at': imported_at, 'part': part}) as newest
from (
    select source, report, billed_on, project_id, imported_at, part from taken_bills
    union all
    select source, report, billed_on, project_id, imported_at, part from billed_usage
) as bills
group by all
"""
_SAME_KEY = """newest_bills.source = {table}.source and newest_bills.report = {table}.report
    and newest_bills.billed_on = {table}.billed_on and newest_bills.project_id is not distinct from {table}.project_id
"""
_DELETE_OLDER = f"""
delete from billed_usage using newest_bills
where {_SAME_KEY.format(table="billed_usage")}
    and {{'imported_at': billed_usage.imported_at, 'part': billed_usage.part}} <> newest_bills.newest
"""
_INSERT_NEWEST = f"""
insert into billed_usage by name
select taken_bills.source, taken_bills.report, taken_bills.billed_on, taken_bills.project_id,
    row_number() over (
        partition by taken_bills.source, taken_bills.report, taken_bills.billed_on,
            taken_bills.project_id
        order by taken_bills.row_number
    ) - 1 as row_index,
    taken_bills.model, taken_bills.line_item, taken_bills.input_tokens, taken_bills.cached_tokens,
    taken_bills.output_tokens, taken_bills.requests, taken_bills.amount, taken_bills.currency,
    taken_bills.imported_at, taken_bills.part
from taken_bills
inner join newest_bills on {_SAME_KEY.format(table="taken_bills")}
where {{'imported_at': taken_bills.imported_at, 'part': taken_bills.part}} = newest_bills.newest
"""


def load_bills(connection: Connection) -> None:
    """Put `new_billed_usage` into `billed_usage`, inside the load's transaction."""
    connection.execute(_TAKEN)
    connection.execute(_NEWEST)
    connection.execute(_DELETE_OLDER)
    connection.execute(_INSERT_NEWEST)
