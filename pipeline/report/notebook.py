"""What the notebooks share: how a query is asked, and how tables and pictures look. It needs the extra `notebook`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.lake.reading import connect_lake
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, read_frame, register
from pipeline.sqlfiles.held_views import holding_views
from pipeline.warehouse.database import open_for_reading

# Colours that stay apart for colour-blind eyes (Okabe and Ito); grey is for what is left over or unknown.
BLUE, ORANGE, GREEN, PINK, SKY, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
GREY = "#8A8A8A"
# The parameters as SQL: each query keeps to them with `where in_scope(source, created_on)`.
_IN_SCOPE = """
create or replace temp macro in_scope(source, day) as
    (getvariable('only_source') is null or source = getvariable('only_source'))
    and (getvariable('since') is null or day >= cast(getvariable('since') as date))
    and (getvariable('until') is null or day <= cast(getvariable('until') as date))
"""
_SCALE = 1.5
# Nobody can read a picture of more marks: Altair refuses it.
_MOST_MARKS = 1_000
_CONFIG = {
    "background": "white",
    "font": "Arial, Helvetica, sans-serif",
    "title": {"anchor": "start", "fontSize": 16, "subtitleFontSize": 12, "subtitleColor": "#555", "offset": 14},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 260},
    "axisY": {"titlePadding": 10},
    "legend": {"labelFontSize": 12, "titleFontSize": 12, "labelLimit": 260},
    "view": {"stroke": None, "continuousWidth": 640},
}


@dataclass(slots=True)
class _Held:
    """Views that were asked for, whole, as long as the warehouse is as it was: each is planned and worked out once."""

    file: tuple[int, ...] = ()
    frames: dict[str, pl.DataFrame] = field(default_factory=dict)

    def lend(self, connection: Connection, warehouse: Path, sql: str) -> None:
        """Have the connection read from here the views that a query names."""
        stat = warehouse.stat()
        if self.file != (file := (stat.st_ino, stat.st_mtime_ns, stat.st_size)):
            self.file, self.frames = file, {}
        named = [view for view in read_sql_files("views").values() if re.search(rf"\b{view.name}\b", sql)]
        missing = [view for view in named if view.name not in self.frames]
        with holding_views(connection, missing):
            for view in missing:
                self.frames[view.name] = read_frame(connection, f"from {view.name}")
        for view in named:
            register(connection, view.name, self.frames[view.name])


@dataclass(frozen=True, slots=True)
class Scope:
    """What a notebook asks: a warehouse, or a lake in place of it; one source or all, from one UTC day to another."""

    warehouse: str
    lake: str | None = None
    source: str | None = None
    since: str | None = None
    until: str | None = None
    key: str = "customer"
    _held: _Held = field(default_factory=_Held, init=False, repr=False, compare=False)

    def ask(self, sql: str) -> pl.DataFrame:
        """The result of one query. The file is open, read-only, only that long, so a sync is never kept waiting."""
        if self.lake:
            return self._ask(connect_lake(self.lake), sql)
        with open_for_reading(Path(self.warehouse)) as connection:
            self._held.lend(connection, Path(self.warehouse), sql)
            return self._ask(connection, sql)

    def _ask(self, connection: Connection, sql: str) -> pl.DataFrame:
        given = {"only_source": self.source, "since": self.since, "until": self.until, "key": self.key}
        for name, value in given.items():
            connection.execute(f"set variable {name} = ?", [value])
        connection.execute(_IN_SCOPE)
        return read_frame(connection, sql)


def set_up() -> None:
    """Pictures as PNG, which show without running anything, with their title as the text for who cannot see them."""
    import altair as alt

    alt.theme.register("run_steps", enable=True)(lambda: alt.theme.ThemeConfig(config=_CONFIG))  # type: ignore[typeddict-item]
    alt.renderers.register("described", _draw)
    alt.renderers.enable("described")
    alt.data_transformers.enable("default", max_rows=_MOST_MARKS)


def text(value: Any, column: str = "") -> str:
    """A value for a person: an unknown cost is called unknown, never 0."""
    if value is None:
        return "unknown" if column in {"cost_usd", "spent_usd"} else "–"
    if column.endswith("_usd"):
        return f"${value:,.2f}" if not 0 < abs(value) < 1 else f"${value:,.4f}"
    if column.endswith("share"):
        return f"{value:.1%}"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float | Decimal) else str(value)


def table(frame: pl.DataFrame, most: int = 20) -> Any:
    """The first rows of a frame as a table that says how many more there are; every text in it is escaped."""
    from IPython.display import HTML

    more = f'<caption style="caption-side:bottom">and {len(frame) - most:,} more</caption>' if len(frame) > most else ""
    right = ["right" if dtype.is_numeric() else "left" for dtype in frame.dtypes]
    names = [escape(name.removesuffix("_usd").replace("_", " ")) for name in frame.columns]
    head = "".join(f'<th style="text-align:{side}">{name}</th>' for name, side in zip(names, right, strict=True))
    rows = [
        "".join(
            f'<td style="text-align:{side}">{escape(text(value, name))}</td>'
            for name, value, side in zip(frame.columns, row, right, strict=True)
        )
        for row in frame.head(most).iter_rows()
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return HTML(  # type: ignore[no-untyped-call]
        f"<table>{more}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def nothing(what: str) -> Any:
    """What stands where there is nothing to show."""
    from IPython.display import Markdown

    return Markdown(  # type: ignore[no-untyped-call]
        f"*There is {what} in this database for these parameters.*"
    )


def drawable(frame: pl.DataFrame) -> pl.DataFrame:
    """For drawing only: Altair takes no decimals."""
    return frame.with_columns(pl.col(pl.Decimal).cast(pl.Float64))


def bars(
    frame: pl.DataFrame, measure: str, name: str, *, axis: str, title: str, subtitle: str = "", colour: str = BLUE
) -> Any:
    """Horizontal bars in the order of the frame, each with its value as text; an unknown value has no bar."""
    import altair as alt

    frame = drawable(frame.with_columns(pl.Series("label", [text(value, measure) for value in frame[measure]])))
    base = alt.Chart(frame).encode(y=alt.Y(f"{name}:N", sort=None, title=None))
    drawn = base.mark_bar(color=colour).encode(x=alt.X(f"{measure}:Q", title=axis, axis=alt.Axis(tickCount=6)))
    labels = (
        base.mark_text(align="left", dx=4, fontSize=12)
        .encode(x=alt.X("start:Q", title=axis), text="label:N")
        .transform_calculate(start=f"datum.{measure} == null ? 0 : datum.{measure}")
    )
    titled = (drawn + labels).properties(title=alt.Title(title, subtitle=subtitle), width=560, height=alt.Step(24))
    return titled.configure_scale(bandPaddingInner=0.25)


def _draw(spec: dict[str, Any], **_: Any) -> tuple[dict[str, bytes], dict[str, Mapping[str, Any]]]:
    import vl_convert

    picture = vl_convert.vegalite_to_png(spec, scale=_SCALE)
    title = spec.get("title") or {}
    words = [title.get("text"), title.get("subtitle")] if isinstance(title, dict) else [title]
    return {"image/png": picture}, {"image/png": {"alt": ". ".join(str(word) for word in words if word)}}
