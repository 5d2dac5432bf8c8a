"""Bills, read from files or fetched with an admin key, and landed untouched."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from pipeline.errors import ConfigurationError, DamagedPartError, PipelineError, WalkError
from pipeline.flatten.bills import UsageAnswer, billed_frame
from pipeline.http.client import ApiClient
from pipeline.protocol.endpoint import Endpoint, check_base_url
from pipeline.protocol.json_text import decode_with
from pipeline.protocol.pages import BilledPage
from pipeline.raw.parts import PartName, RawStore, new_sync_id
from pipeline.raw.prune_record import read_pruned
from pipeline.raw.writer import PartWriter

ADMIN_KEY_VARIABLE = "OPENAI_ADMIN_KEY"
ADMIN_BASE_URL = "https://api.openai.com/v1"
# Days of a page: the most that the usage answer gives.
_PAGE_DAYS = 31
_REPORTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("organization", "usage", "completions"): ("project_id", "model", "batch"),
    ("organization", "costs"): ("project_id", "line_item"),
}
# Marks the ids of imports of bills.
_BILL_KIND = "bill-"
_BILL_SIGN = f"-{_BILL_KIND}"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_decode_answer = decode_with(UsageAnswer, "a usage or cost answer")


@dataclass(frozen=True, slots=True)
class BillsImported:
    """What an import brought: files or pages, rows, and the days that they tell of."""

    pages: int
    rows: int
    first_on: date | None
    last_on: date | None


def read_bill_files(paths: Sequence[Path], *, source: str, now: datetime) -> list[BilledPage]:
    """The files as they are; each is an import of its own, the later ones newer. Raises ConfigurationError."""
    pages = []
    for index, path in enumerate(paths):
        try:
            body = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from error
        form = "csv" if path.suffix.lower() == ".csv" else "json"
        imported_at = now + timedelta(microseconds=index)
        pages.append(BilledPage(source, "", index, form, imported_at, str(path), body))
    try:
        billed_frame(pages)
    except PipelineError as error:
        raise ConfigurationError(str(error)) from error
    return pages


def admin_endpoint(base_url: str | None, key: str | None) -> Endpoint:
    """The organization's API with the admin key. Raises ConfigurationError without one."""
    if not key:
        raise ConfigurationError(
            f"no admin key: set the environment variable {ADMIN_KEY_VARIABLE} (a project's key may not read bills)"
        )
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": "run-steps-pipeline",
        "Authorization": f"Bearer {key}",
    }
    url = check_base_url(base_url or ADMIN_BASE_URL, plain_http_hosts=frozenset())
    return Endpoint(base_url=url, headers=headers, secrets=(key,), keys=(key,))


async def fetch_bills(client: ApiClient, *, source: str, since: date) -> list[BilledPage]:
    """All pages of both reports from a UTC day on. Raises WalkError where the server's paging cannot be trusted."""
    now = client.clock.now()
    pages: list[BilledPage] = []
    for segments, grouping in _REPORTS.items():
        params = [
            ("start_time", str(int(datetime.combine(since, time(), tzinfo=UTC).timestamp()))),
            ("bucket_width", "1d"),
            ("limit", str(_PAGE_DAYS)),
            *(("group_by", name) for name in grouping),
        ]
        for body in await _walk_pages(client, segments, params):
            pages.append(BilledPage(source, "", len(pages), "json", now, client.endpoint.path(segments), body))
    return pages


async def _walk_pages(client: ApiClient, segments: tuple[str, ...], params: list[tuple[str, str]]) -> list[bytes]:
    bodies: list[bytes] = []
    seen: set[str] = set()
    cursor: list[tuple[str, str]] = []
    while True:
        answer = await client.get(segments, [*params, *cursor], decode=_decode_answer)
        bodies.append(answer.body)
        if not answer.value.has_more:
            return bodies
        following = answer.value.next_page
        if not following or following in seen:
            what = "has_more without next_page" if not following else "next_page that it gave before"
            raise WalkError(f"{client.endpoint.path(segments)}: page {len(bodies)} has {what}: nothing was imported")
        seen.add(following)
        cursor = [("page", following)]


def make_newest(store: RawStore, pages: Sequence[BilledPage], *, source: str) -> list[BilledPage]:
    """The pages, as if imported after all bills that have landed for the source: a clock may have been set back."""
    parts = [part for part in store.list_parts() if part.source == source and _BILL_SIGN in part.name]
    landed = [page.imported_at for part in parts for page in _bills_of(store, part)]
    landed += [part.landed_at for part in read_pruned(store) if part.source == source and _BILL_SIGN in part.part]
    late_by = max(landed, default=_LONG_AGO) - min((page.imported_at for page in pages), default=_LONG_AGO)
    if late_by < timedelta(0):
        return list(pages)
    return [replace(page, imported_at=page.imported_at + late_by + timedelta(microseconds=1)) for page in pages]


def _bills_of(store: RawStore, part: PartName) -> list[BilledPage]:
    try:
        return store.read_part(part).bills
    except DamagedPartError:
        # The load says so.
        return []


def land_bills(store: RawStore, pages: Sequence[BilledPage], *, source: str, now: datetime) -> BillsImported:
    """Write the pages as one raw part; what they hold."""
    writer = PartWriter(store, source=source, sync_id=new_sync_id(now, kind=_BILL_KIND))
    for page in pages:
        writer.add_bill(page)
    writer.land(writer.take_rows())
    frame = billed_frame(pages)
    days = frame["billed_on"].drop_nulls().sort()
    return BillsImported(len(pages), frame.height, days.first(), days.last())  # type: ignore[arg-type]
