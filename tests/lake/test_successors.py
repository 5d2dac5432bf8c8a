"""A lake has responses and turns as the warehouse has them, also where they were learned piece by piece."""

from pathlib import Path

from pipeline.lake.store import Lake
from pipeline.raw.places import raw_store
from pipeline.warehouse.database import warehouse_path
from tests.answered import answered, called, landed_answers, landed_turns, response, session, turn, usage_of
from tests.archived import import_here, write_json
from tests.lakes import assert_same, read_lake, read_warehouse
from tests.publish_parts import publish
from tests.warehouse.test_successors import land_walk, load

ARCHIVES = [
    [response(called(), status="in_progress", usage=None, completed_at=None)],
    [answered(), response(called(), service_tier="flex", usage=usage_of(written=10)), turn()],
    [{"custom_id": "r", "response": {"body": response(called(), response_id="resp_b", conversation=None)}}],
    [session(), turn()],
]


def test_a_lake_has_responses_and_turns_as_the_warehouse_has_them(tmp_path: Path) -> None:
    data, lake = tmp_path / "data", tmp_path / "lake"
    for number, objects in enumerate(ARCHIVES):
        import_here(data, write_json(tmp_path / f"{number}.json", objects))
        publish(data, lake)
    for minute, status in enumerate(("in_progress", "completed")):
        land_walk(raw_store(data), landed_answers(response(called(), status=status)), minute=minute)
        land_walk(raw_store(data), landed_turns(session(), turn(status=status)), minute=10 + minute)
        load(data)
        publish(data, lake)
    assert_same(read_lake(lake), read_warehouse(warehouse_path(data)))
    assert Lake(str(lake)).open().scan("runs").collect()["protocol"].n_unique() == 2
