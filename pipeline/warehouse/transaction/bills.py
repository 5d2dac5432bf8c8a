"""Bills in the warehouse: of each report, day and group the newest import counts."""

from pipeline.sqlfiles.duck import Connection

# A table of its own: duckdb 1.5 pushes filters of joins into frames, and pyarrow then refuses some of their texts.
_TAKEN = "create or replace temp table taken_bills as select columns(*) from new_billed_usage"

_NEWEST = """
create or replace temp table newest_bills as
select source, object, billed_on, grouped_by, group_key, max({'imported_at': imported_at, 'part': part}) as newest
from (
    select source, object, billed_on, grouped_by, group_key, imported_at, part from taken_bills
    union all
    select source, object, billed_on, grouped_by, group_key, imported_at, part from billed_usage
) as bills
group by all
"""
_SAME_KEY = """newest_bills.source = {table}.source and newest_bills.object is not distinct from {table}.object
    and newest_bills.billed_on = {table}.billed_on and newest_bills.grouped_by is not distinct from {table}.grouped_by
    and newest_bills.group_key is not distinct from {table}.group_key
"""
_DELETE_OLDER = f"""
delete from billed_usage using newest_bills
where {_SAME_KEY.format(table="billed_usage")}
    and {{'imported_at': billed_usage.imported_at, 'part': billed_usage.part}} <> newest_bills.newest
"""
_INSERT_NEWEST = f"""
insert into billed_usage by name
select columns(taken_bills.* exclude (row_number)),
    row_number() over (
        partition by taken_bills.source, taken_bills.object, taken_bills.billed_on, taken_bills.grouped_by,
            taken_bills.group_key
        order by taken_bills.row_number
    ) - 1 as row_index
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
