"""Ray: a cluster to work on, one of this machine unless an address is given; all of ray is in here."""

import contextlib
import importlib
import itertools
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ConfigurationError, PipelineError

# How often Ray starts a task again whose process died.
_MOST_RETRIES = 5
_MOST_STARTS = 3
_WAIT_S = 0.5
_NOT_INSTALLED = "No module named 'pipeline'"
# Loopback; Ray takes 127.0.0.1 for a name of the machine and would listen on its network.
_LOCAL = "127.0.0.2"
# The least that Ray accepts is 75 MiB; nothing large goes through it.
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

    def wait(self, tickets: Sequence[Any], *, timeout_s: float) -> list[Any]:
        """Tickets of tasks that have ended; waits for one, but not for long."""
        return list(self.ray.wait(list(tickets), timeout=timeout_s)[0])

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
            if isinstance(error, self.ray.exceptions.RayTaskError):
                raise
            raise PipelineError(
                f"Ray gave up on a worker ({type(error).__name__}): run the same command again, what landed is kept"
            ) from error

    def run(self, work: Callable[..., Any], jobs: Iterable[Any]) -> Iterator[Any]:
        """The results of the work on each job, in the order in which they end."""
        waiting, running = iter(jobs), list[Any]()
        while True:
            running += [self.start(work, job) for job in itertools.islice(waiting, self.workers - len(running))]
            if not running:
                return
            for ticket in self.wait(running, timeout_s=_WAIT_S):
                running.remove(ticket)
                yield self.get(ticket)

    def close(self) -> None:
        """Leave the cluster; one of this machine ends."""
        self.ray.shutdown()
        if self.folder is not None:
            self.folder.cleanup()


def open_cluster(address: str | None, *, workers: int) -> Cluster:
    """Connect to a cluster, or start one on loopback with so many workers (0: one for each processor but one).

    On a cluster 0 is as many as it has processors. Raises ConfigurationError where ray is not installed or the cluster
    cannot be reached.
    """
    # Ray would tell its makers that and how it is used.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None and "RAY_AUTH_MODE" not in os.environ:
        # Nobody else on this machine may use it, and no token is left in the home folder. Read at the import.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise ConfigurationError(
            "--executor ray needs the library ray: pip install 'run-steps-pipeline[ray]', or leave --executor away"
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
    return Cluster(ray, workers or max(1, int(ray.cluster_resources().get("CPU", 1))))


def _start_local(ray: Any, workers: int) -> Cluster:
    """A cluster that ends with us. Ray gives its processes 30 s to start: on a busy machine it is tried again."""
    for _ in range(_MOST_STARTS - 1):
        with contextlib.suppress(Exception):
            return _start_once(ray, workers)
    try:
        return _start_once(ray, workers)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise PipelineError(
            f"Ray did not start on this machine ({reason}): try again when it is less busy, or leave --executor away"
        ) from error


def _start_once(ray: Any, workers: int) -> Cluster:
    # Sockets go in here: their paths must be short.
    folder = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
    try:
        ray.init(
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
