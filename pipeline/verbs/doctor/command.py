"""The verb `doctor`: everything that a sync needs, looked at, one line each."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import CheckFailedError, PipelineError
from pipeline.raw.places import raw_store
from pipeline.settings.invocation import Settings
from pipeline.verbs.doctor.data_health import (
    Folder,
    examine_contents,
    examine_folder,
    examine_leftovers,
    examine_lock,
    examine_parts,
    examine_warehouse,
    read_contents,
)
from pipeline.verbs.doctor.diagnosis import Diagnosis, failed
from pipeline.verbs.doctor.server_health import examine_server
from pipeline.warehouse.database import warehouse_path


@dataclass(frozen=True, slots=True)
class Examination:
    """What to look at: the settings, or why there are none, and the data folder."""

    settings: Settings | None
    fault: str | None
    data_dir: Path
    all_parts: bool = False
    offline: bool = False


def examine(examination: Examination, *, as_json: bool) -> int:
    """Print one line for each thing looked at, as soon as it is known; the exit code: 5 if something failed."""
    diagnoses = []
    for diagnosis in find_diagnoses(examination, now=datetime.now(UTC)):
        diagnoses.append(diagnosis)
        if not as_json:
            print(diagnosis.line, flush=True)
    if as_json:
        print(json.dumps({"healthy": not failed(diagnoses), "checks": [asdict(each) for each in diagnoses]}))
    return CheckFailedError.exit_code if failed(diagnoses) else 0


def find_diagnoses(examination: Examination, *, now: datetime) -> Iterator[Diagnosis]:
    """All that is found, from the configuration to the data; never raises for what is amiss."""
    settings = examination.settings
    folder = Folder(raw_store(examination.data_dir), warehouse_path(examination.data_dir))
    contents, fault = None, None
    if folder.warehouse.exists():
        try:
            contents = read_contents(folder.warehouse, source=settings.source if settings else None, now=now)
        except PipelineError as error:
            fault = error
    if settings is None:
        yield Diagnosis("configuration", "fail", examination.fault or "cannot be read")
    else:
        thread_id = contents.thread_id if contents else None
        yield from examine_server(settings, thread_id=thread_id, offline=examination.offline, now=now)
    yield from examine_folder(folder)
    yield examine_lock(folder, fault)
    yield examine_warehouse(folder, fault)
    try:
        yield from examine_parts(folder, contents, read_all=examination.all_parts)
    except PipelineError as error:
        yield Diagnosis("raw parts", "fail", str(error))
    yield examine_leftovers(folder)
    if contents is not None:
        yield from examine_contents(contents)
