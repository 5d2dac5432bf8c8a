"""Loading in the background of a sync, whenever parts have landed and nobody else needs the warehouse."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.errors import DamagedPartError, PipelineError
from pipeline.flatten.batches import Flattener, InThread
from pipeline.raw.parts import RawStore
from pipeline.warehouse.load import load_new_parts

# Each load opens and closes the warehouse, which costs as much as loading a part: it waits for a batch, not for long,
# and keeps the warehouse as long as parts land. Whoever wants to read waits for 5 s; nobody reads one that is new.
_PARTS = 2
_SECONDS = 2.0
_IDLE_S = 1.0
_LONGEST_S = 3.0
_LONGEST_NEW_S = 10.0
# So long the warehouse is free between two loads: readers look every 0.2 s.
_FREE_S = 0.3


class Loader(threading.Thread):
    """Loads parts as they land, where the warehouse is free; what it cannot load is left to the end of the sync."""

    def __init__(self, store: RawStore, warehouse: Path, flattener: Flattener | None = None) -> None:
        super().__init__(name="loader", daemon=True)
        self._store = store
        self._warehouse = warehouse
        self._flattener = flattener
        self._changed = threading.Condition()
        self._stopping = False
        self._landed = 0
        self._loaded_at = float("-inf")
        self._ends_at = float("-inf")
        self._has_looked_last = False
        self.damage: DamagedPartError | None = None

    def wake(self) -> None:
        """Say that a part has landed."""
        with self._changed:
            self._landed += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """End after the load that is under way, which takes all that has landed."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def leave(self) -> None:
        """End with what the load that is under way has taken up, and wait for that: nobody holds the warehouse then."""
        with self._changed:
            self._stopping = self._has_looked_last = True
            self._changed.notify_all()
        self.join()

    def run(self) -> None:
        """Load whenever enough has landed."""
        while self._wait():
            self._ends_at = time.monotonic() + (_LONGEST_S if self._warehouse.exists() else _LONGEST_NEW_S)
            # What stands in the way (a lock, a full disk) the load at the end of the sync meets again, and names it.
            with contextlib.suppress(PipelineError):
                try:
                    load_new_parts(self._store, self._warehouse, wait_s=0.0, more=self._more, flattener=self._flattener)
                except DamagedPartError as error:
                    self.damage = error if self.damage is None else DamagedPartError(f"{self.damage}; {error}")
            self._loaded_at = time.monotonic()

    def _wait(self) -> bool:
        """Until some parts have landed, or one and a while has passed; False when this is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, max(0.0, self._loaded_at + _FREE_S - time.monotonic()))
            self._changed.wait_for(lambda: self._stopping or self._landed)
            patience_s = max(0.0, self._loaded_at + _SECONDS - time.monotonic())
            self._changed.wait_for(lambda: self._stopping or self._landed >= _PARTS, patience_s)
            self._landed = 0
            return not self._stopping

    def _more(self) -> bool:
        """Whether a load goes on: while parts land, until its time is up; and with the last ones when all ends."""
        with self._changed:
            patience_s = max(0.0, min(_IDLE_S, self._ends_at - time.monotonic()))
            self._changed.wait_for(lambda: self._stopping or self._landed >= _PARTS, patience_s)
            if self._has_looked_last:
                return False
            self._has_looked_last = self._stopping
            if not self._stopping and (not self._landed or time.monotonic() >= self._ends_at):
                return False
            self._landed = 0
            return True


@contextlib.contextmanager
def loading(store: RawStore, warehouse: Path, flattener: Flattener | None = None) -> Iterator[Loader]:
    """A loader that works during the block; at its end it takes what has landed, which `join` waits for."""
    loader = Loader(store, warehouse, flattener)
    loader.start()
    try:
        yield loader
    finally:
        loader.stop()


@contextlib.contextmanager
def loading_meanwhile(
    store: RawStore, warehouse: Path, flattener: Flattener, *, wait_s: float
) -> Iterator[Callable[[], None]]:
    """Loads what lands in the block, in the background where others flatten it, and all of it by the end.

    Gives what is to be called whenever a part has landed. Raises as `load_new_parts`.
    """
    damage = None
    if isinstance(flattener, InThread):
        yield lambda: None
    else:
        with loading(store, warehouse, flattener) as loader, leaving_if_broken_off(loader):
            yield loader.wake
        loader.join()
        damage = loader.damage
    load_new_parts(store, warehouse, wait_s=wait_s, flattener=flattener)
    if damage is not None:
        raise damage


@contextlib.contextmanager
def leaving_if_broken_off(loader: Loader) -> Iterator[None]:
    """An error leaves the block only when no load goes on: who tries again at once finds the warehouse free."""
    try:
        yield
    except BaseException:
        loader.leave()
        raise


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
