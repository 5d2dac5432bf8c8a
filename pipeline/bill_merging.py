"""Bills in the warehouse: of each report, day and project the newest import counts."""

from pipeline.warehouse import Connection

_NEWEST = """
create or replace temp table newest_bills as
select source, report, billed_on, project_id, max((imported_at, part)) as newest
from (
    select source, report, billed_on, project_id, imported_at, part from new_billed_usage
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
    and (billed_usage.imported_at, billed_usage.part) <> newest_bills.newest
"""
_INSERT_NEWEST = f"""
insert into billed_usage by name
select new_billed_usage.source, new_billed_usage.report, new_billed_usage.billed_on, new_billed_usage.project_id,
    row_number() over (
        partition by new_billed_usage.source, new_billed_usage.report, new_billed_usage.billed_on,
            new_billed_usage.project_id
        order by new_billed_usage.row_number
    ) - 1 as row_index,
    new_billed_usage.model, new_billed_usage.line_item, new_billed_usage.input_tokens, new_billed_usage.cached_tokens,
    new_billed_usage.output_tokens, new_billed_usage.requests, new_billed_usage.amount, new_billed_usage.currency,
    new_billed_usage.imported_at, new_billed_usage.part
from new_billed_usage
inner join newest_bills on {_SAME_KEY.format(table="new_billed_usage")}
where (new_billed_usage.imported_at, new_billed_usage.part) = newest_bills.newest
"""


def load_bills(connection: Connection) -> None:
    """Put `new_billed_usage` into `billed_usage`, inside the load's transaction."""
    connection.execute(_NEWEST)
    connection.execute(_DELETE_OLDER)
    connection.execute(_INSERT_NEWEST)
