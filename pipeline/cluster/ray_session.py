"""Ray: a cluster to work on, one of this machine unless an address is given; all of ray is in here."""

import importlib
import itertools
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ConfigurationError, PipelineError
from pipeline.program import install_command

# How often Ray starts a task again whose process died.
_MOST_RETRIES = 5
_MOST_STARTS = 3
_WAIT_S = 0.5
_ACTOR_DIED = (
    "the process on the cluster that keeps the common pace and the counts of all workers died: run the same command"
    " again, what landed is kept"
)
_NOT_INSTALLED = "No module named 'pipeline'"
_LOCAL = "127.0.0.1"
# Who has few processors, or none as long as nothing is to do, gets so many tasks to make more for.
_LEAST_TASKS = 4
# The least that Ray accepts is 75 MiB. What goes through it is packed, and what does not fit goes to the disk.
_OBJECT_STORE_BYTES = 80 * 2**20


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that we are connected to; `workers` tasks run at a time. Its methods may wait."""

    ray: Any
    workers: int
    folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Start a task; gives a ticket for its result. A task whose process dies is started again."""
        return self.ray.remote(work).options(max_retries=_MOST_RETRIES, num_cpus=1).remote(*arguments)

    def start_actor(self, kind: type, *arguments: Any) -> Any:
        """Start an object that tasks can call; it takes no processor of theirs."""
        return self.ray.remote(kind).options(num_cpus=0).remote(*arguments)

    def wait(self, tickets: Sequence[Any], *, timeout_s: float, count: int = 1) -> list[Any]:
        """Tickets of tasks that have ended, at most `count`; waits for so many, but no longer than that."""
        if not tickets:
            return []
        return list(self.ray.wait(list(tickets), num_returns=count, timeout=timeout_s)[0])

    def get(self, ticket: Any) -> Any:
        """What a task or a call gave. Raises its PipelineError, or one that says what happened to Ray."""
        try:
            return self.ray.get(ticket)
        except PipelineError as error:
            # Ray's class of it has the whole traceback in its text.
            raise getattr(error, "cause", None) or error from None
        except self.ray.exceptions.RayError as error:
            if _NOT_INSTALLED in str(error):
                raise ConfigurationError(
                    "the cluster's machines cannot import this program: install run-steps-pipeline there, the same one"
                ) from error
            if isinstance(error, self.ray.exceptions.RayActorError):
                raise PipelineError(_ACTOR_DIED) from error
            if isinstance(error, self.ray.exceptions.RayTaskError):
                raise
            raise PipelineError(
                f"Ray gave up on a worker ({type(error).__name__}): run the same command again, what landed is kept"
            ) from error

    def run(self, work: Callable[..., Any], jobs: Iterable[Any]) -> Generator[Any]:
        """The results of the work on each job, in the order in which they end.

        Whoever closes it before its end has the tasks that are running given up.
        """
        waiting, running = iter(jobs), list[Any]()
        try:
            while True:
                running += [self.start(work, job) for job in itertools.islice(waiting, self.workers - len(running))]
                if not running:
                    return
                for ticket in self.wait(running, timeout_s=_WAIT_S):
                    running.remove(ticket)
                    yield self.get(ticket)
        finally:
            for ticket in running:
                self.ray.cancel(ticket)

    def close(self) -> None:
        """Leave the cluster; one of this machine ends."""
        self.ray.shutdown()
        if self.folder is not None:
            self.folder.cleanup()


def open_cluster(address: str | None, *, workers: int) -> Cluster:
    """Connect to a cluster, or start one on loopback with so many workers (0: one for each processor but one).

    On a cluster 0 is as many as it has processors now, but some tasks in any case. Raises ConfigurationError where ray
    is not installed or the cluster cannot be reached.
    """
    # Ray would tell its makers that and how it is used.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        _stay_on_this_machine()
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise ConfigurationError(
            f"--executor ray needs the library ray: {install_command('ray')}, or leave --executor away"
        ) from error
    # It says that it has no handler for SIGTERM in the thread that starts it; it needs none.
    logging.getLogger("ray").setLevel(logging.ERROR)
    if address is None:
        return _start_local(ray, workers or max(1, (os.cpu_count() or 1) - 1))
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigurationError(f"--ray-address {address}: there is no cluster that can be used ({reason})") from error
    return Cluster(ray, count_tasks(workers, processors=ray.cluster_resources().get("CPU", 0)))


async def call(method: Any, *arguments: Any) -> Any:
    """For a task: what a method of an actor gives. Raises PipelineError if the actor is dead."""
    try:
        return await method.remote(*arguments)
    except Exception as error:
        exceptions: Any = importlib.import_module("ray.exceptions")
        if isinstance(error, exceptions.RayActorError):
            raise PipelineError(_ACTOR_DIED) from error
        raise


def count_tasks(asked: int, *, processors: float) -> int:
    """How many tasks are handed to a cluster at a time: as asked; 0 asked is one for each processor, at least four.

    Those that find no processor wait for one, which is what makes a cluster that can grow do so.
    """
    return asked or max(_LEAST_TASKS, int(processors))


def _stay_on_this_machine() -> None:
    """What a cluster of this machine needs in the environment. All of it is read when ray is imported."""
    # Ray's own switch of the systems where it only ever uses loopback. Without it Ray takes 127.0.0.1 for a name of the
    # machine and listens on its network (2.60).
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    if "RAY_AUTH_MODE" not in os.environ:
        # Nobody else on this machine may use it, and no token is left in the home folder.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _start_local(ray: Any, workers: int) -> Cluster:
    """A cluster that ends with us. Ray gives its processes 30 s to start: on a busy machine it is tried again."""
    for _ in range(_MOST_STARTS):
        try:
            return _start_once(ray, workers)
        except Exception as error:
            # Where its processes come too late Ray raises the class Exception itself.
            if type(error) is not Exception and not isinstance(error, (RuntimeError, OSError, ray.exceptions.RayError)):
                raise
            last = error
    reason = str(last).strip().partition("\n")[0]
    raise PipelineError(
        f"Ray did not start on this machine ({reason}): try again when it is less busy, or leave --executor away"
    ) from last


def _start_once(ray: Any, workers: int) -> Cluster:
    # Sockets go in here: their paths must be short.
    folder = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
    try:
        ray.init(
            # Said outright: RAY_ADDRESS would send what a task carries, the key among it, to another cluster.
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.ERROR,
            _node_ip_address=_LOCAL,
            _temp_dir=folder.name,
        )
    except BaseException:
        ray.shutdown()
        folder.cleanup()
        raise
    return Cluster(ray, workers, folder)
