"""Loading in the background of a sync, whenever parts have landed and nobody else needs the warehouse."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.errors import DamagedPartError, PipelineError
from pipeline.landing import RawStore
from pipeline.load import load_new_parts


class Loader(threading.Thread):
    """Loads parts as they land, where the warehouse is free; what it cannot load is left to the end of the sync."""

    def __init__(self, store: RawStore, warehouse: Path) -> None:
        super().__init__(name="loader", daemon=True)
        self._store = store
        self._warehouse = warehouse
        self._woken = threading.Event()
        self._stopping = False
        self.damage: DamagedPartError | None = None

    def wake(self) -> None:
        """Say that a part has landed."""
        self._woken.set()

    def stop(self) -> None:
        """End after the load that is under way."""
        self._stopping = True
        self._woken.set()

    def run(self) -> None:
        """Load whenever woken."""
        while self._woken.wait() and not self._stopping:
            self._woken.clear()
            # What stands in the way (a lock, a full disk) the load at the end of the sync meets again, and names it.
            with contextlib.suppress(PipelineError):
                try:
                    load_new_parts(self._store, self._warehouse, wait_s=0.0, beside_readers=False)
                except DamagedPartError as error:
                    self.damage = error


@contextlib.contextmanager
def loading(store: RawStore, warehouse: Path) -> Iterator[Loader]:
    loader = Loader(store, warehouse)
    loader.start()
    try:
        yield loader
    finally:
        loader.stop()


async def in_daemon_thread(work: Callable[[], object]) -> None:
    """Wait for work done in a thread that does not hold up the end of the program, should this task be cancelled."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if ended.cancelled():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:  # noqa: BLE001 - it is raised again where the work is waited for
            error = raised
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=run, name="load", daemon=True).start()
    await ended
