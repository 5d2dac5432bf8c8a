"""The command line in a process of its own, without the start of one: a Python that has imported the product forks."""

import functools
import gc
import io
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from tempfile import TemporaryFile
from typing import IO

_ROOT = Path(__file__).parents[1]
# Beside the descriptors of standard input, output and errors: the request, and where to answer.
_DESCRIPTORS = 5
# Nothing else of the machine that runs the tests may reach the command line.
# With the last of them `make test-dates` moves the clock.
_INHERITED = ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "LD_PRELOAD")
# Heeded when a Python or a library starts, so that a fork of one that has started would not.
_OF_A_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "POLARS_")
_CHUNK = 1 << 16
_HEAVY = ("ray", "__main__")


def bare_environ() -> dict[str, str]:
    """What a Python needs to be started and to find the product."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "PYTHONPATH": str(_ROOT)}


class ForkingPython:
    """A Python that has started with this environment and has imported the product; it ends with this process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._asking = threading.Lock()
        self._control, theirs = socket.socketpair()
        with theirs:
            # Pipes, so that it takes no standard stream for a terminal or for a file in which one can seek.
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=_ROOT,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
            )

    def stands_for(self, environ: Mapping[str, str]) -> bool:
        """Whether a fork of it is like a Python that is started with that environment."""
        names = {name for name in {*environ, *self._environ} if name.startswith(_OF_A_START)}
        return all(environ.get(name) == self._environ.get(name) for name in names)

    def run(
        self, arguments: Sequence[str], *, folder: Path, environ: Mapping[str, str], given: str, timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        """`python -m pipeline ARGUMENTS` in that folder, ended; `given` is its standard input."""
        command = [sys.executable, "-m", "pipeline", *arguments]
        with self._asking:
            place = {"folder": str(folder), "environ": dict(environ), "umask": _umask()}
        with _text_file(json.dumps({"arguments": arguments, **place})) as asked, _text_file(given) as stdin:
            (out, out_end), (err, err_end), (ours, theirs) = os.pipe(), os.pipe(), socket.socketpair()
            with theirs:
                passed = [stdin.fileno(), out_end, err_end, asked.fileno(), theirs.fileno()]
                socket.send_fds(self._control, [b"."], passed)
        for descriptor in (out_end, err_end):
            os.close(descriptor)
        with ours, ours.makefile("r") as answers:
            process_id = int(answers.readline())
            try:
                said = _read_to_ends([out, err], until_s=time.monotonic() + timeout_s)
            except TimeoutError:
                os.kill(process_id, signal.SIGKILL)
                raise subprocess.TimeoutExpired(command, timeout_s) from None
            return subprocess.CompletedProcess(command, int(answers.readline()), *said)

    def end(self) -> None:
        """Return when it has ended."""
        self._control.close()
        self._process.wait()


def _text_file(text: str = "") -> IO[str]:
    """A file without a name, with that text to be read from its start."""
    file = TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - for whoever asks for it to close
    file.write(text)
    file.seek(0)
    return file


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _read_to_ends(pipes: Sequence[int], *, until_s: float) -> list[str]:
    """What comes out of each pipe until nobody holds its other end; TimeoutError at that point of monotonic time."""
    found: dict[int, list[bytes]] = {pipe: [] for pipe in pipes}
    with selectors.DefaultSelector() as open_pipes:
        for pipe in pipes:
            open_pipes.register(pipe, selectors.EVENT_READ)
        while open_pipes.get_map():
            ready = open_pipes.select(max(0.0, until_s - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                content = os.read(key.fd, _CHUNK)
                found[key.fd].append(content)
                if not content:
                    open_pipes.unregister(key.fd)
                    os.close(key.fd)
    return [io.TextIOWrapper(io.BytesIO(b"".join(content)), "utf-8").read() for content in found.values()]


def _serve(control: socket.socket) -> None:
    """Fork for every request until nobody is left to ask."""
    import pipeline

    for module in walk_packages(pipeline.__path__, "pipeline."):
        if not any(word in module.name for word in _HEAVY):
            import_module(module.name)
    # Also what is imported by the first command line only. Standard output is a pipe that nobody reads.
    ready_schema = import_module("tests.ready_schema")
    ready_schema.begin_with_copies()
    ready_schema.make_ready()
    import_module("pipeline.cli.main").app(["--version"], standalone_mode=False)
    sys.stdout.flush()
    # What is never looked at again is never copied for a fork.
    gc.collect()
    gc.freeze()
    while True:
        asked, descriptors, _, _ = socket.recv_fds(control, 1, _DESCRIPTORS)
        if not asked:
            return
        if os.fork() == 0:
            control.close()
            os._exit(_attend(*descriptors))
        for descriptor in descriptors:
            os.close(descriptor)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


def _attend(stdin: int, out: int, err: int, asked: int, answers: int) -> int:
    """Run one command line in a fork, and say which process it is and how it ended."""
    process_id = os.fork()
    if process_id == 0:
        os.close(answers)
        for descriptor, place in ((stdin, 0), (out, 1), (err, 2)):
            os.dup2(descriptor, place)
            os.close(descriptor)
        with os.fdopen(asked) as file:
            request = json.load(file)
        _become(**request)
    os.write(answers, f"{process_id}\n".encode())
    os.write(answers, f"{os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1])}\n".encode())
    return 0


def _become(arguments: Sequence[str], folder: str, environ: Mapping[str, str], umask: int) -> None:
    os.chdir(folder)
    os.umask(umask)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    sys.argv[1:] = arguments
    # Ends the process.
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)


@functools.cache
def shared_python() -> ForkingPython:
    """The one of this process, started when it is first asked for."""
    return ForkingPython(bare_environ())


def end_shared_python() -> None:
    """Return when nothing of it is left, also if there has been none."""
    if shared_python.cache_info().currsize:
        shared_python().end()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as control:
        _serve(control)
    import_module("tests.ready_schema").remove_originals()
    os._exit(0)
