"""Runs a notebook over a warehouse and keeps of its outputs what is the same on every machine."""

import struct
import subprocess
import sys
import tempfile
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

FOLDER = Path(__file__).parent
NOTEBOOKS = tuple(sorted(FOLDER.glob("*.ipynb")))
_TIMEOUT_S = 300
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PARAMETERS = ("RUN_STEPS_WAREHOUSE", "RUN_STEPS_LAKE", "RUN_STEPS_SOURCE", "RUN_STEPS_SINCE", "RUN_STEPS_UNTIL")
# Before the first cell of a notebook, whatever ran in its kernel.
_FRESH = """%reset -f
import os
for name in {parameters}:
    os.environ.pop(name, None)
os.environ.update({given})
%reset -f"""


def execute_notebook(
    path: Path, warehouse: Path, *, kernel: AsyncKernelManager | None = None, **parameters: str
) -> NotebookNode:
    """The notebook with the outputs of this warehouse; parameters as in the environment (RUN_STEPS_SINCE, ...).

    In a kernel of its own, or in one that is there for several and forgets the names of the one before.
    Raises nbclient.exceptions.CellExecutionError when a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    given = {"RUN_STEPS_WAREHOUSE": str(warehouse.resolve()), **parameters}
    notebook.cells.insert(0, new_code_cell(_FRESH.format(parameters=_PARAMETERS, given=given)))
    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=_TIMEOUT_S,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    executed = client.execute()
    del executed.cells[0]
    return _without_noise(executed)


def _without_noise(notebook: NotebookNode) -> NotebookNode:
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if len(data) > 1:
                # What a class calls itself, beside the picture or table of it.
                data.pop("text/plain", None)
            if picture := data.get("image/png"):
                data["image/png"] = b64encode(squeeze_png(b64decode(picture))).decode()
    return notebook


def squeeze_png(picture: bytes) -> bytes:
    """The same picture in a fraction of the bytes: the renderer compresses for speed."""
    chunks = list(_png_chunks(picture))
    pixels = zlib.compress(zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT")), 9)
    header, end = chunks[0], chunks[-1]
    return _PNG_MAGIC + b"".join(_png_chunk(*chunk) for chunk in (header, (b"IDAT", pixels), end))


def _png_chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(_PNG_MAGIC)
    while position < len(picture):
        size, kind = struct.unpack_from(">I4s", picture, position)
        yield kind, picture[position + 8 : position + 8 + size]
        position += size + 12


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def main() -> None:
    """Execute every notebook over a fresh sample and store the outputs in it."""
    with tempfile.TemporaryDirectory() as folder:
        sync = [sys.executable, "-m", "pipeline", "sync", "--sample", "--quiet", "--data-dir", folder]
        subprocess.run(sync, check=True, cwd=FOLDER.parent, stdout=subprocess.DEVNULL)
        for path in NOTEBOOKS:
            nbformat.write(execute_notebook(path, Path(folder) / "warehouse.duckdb"), path)
            print(f"{path.name}: {path.stat().st_size / 1024:,.0f} KiB")


if __name__ == "__main__":
    main()
