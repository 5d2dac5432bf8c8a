"""Write `sql/stand_ins.sql`: for each view one of the same columns that reads nothing, so that views are made fast."""

from pathlib import Path

from pipeline.sqlfiles.catalog import views_in_order
from pipeline.sqlfiles.schema import connect_in_memory, digest_views

STAND_INS = Path(__file__).parents[1] / "sql" / "stand_ins.sql"


def stand_ins() -> str:
    """The text of the file, made from the views themselves."""
    lines = [f"-- {digest_views()}"]
    with connect_in_memory() as connection:
        for view in views_in_order():
            columns = connection.execute(f"describe {view.name}").fetchall()
            nulls = ", ".join(f"null::{dtype.lower()} as {name}" for name, dtype, *_ in columns)
            lines.append(f"create or replace view {view.name} as select {nulls};")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    STAND_INS.write_text(stand_ins(), "utf-8")
