"""The picture and the list of rooms in docs/architecture.md, from the imports and the docstrings of `pipeline/`."""

import ast
import re
from pathlib import Path

from tests.project.test_import_directions import APART, FLOORS, PACKAGE, own_imports, read_trees, room

DOCUMENT = Path(__file__).parents[1] / "docs" / "architecture.md"
_BLOCK = re.compile(r"(<!-- (picture|rooms): make architecture -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Write both blocks of the document anew."""
    DOCUMENT.write_text(render(DOCUMENT.read_text("utf-8")), "utf-8")


def render(text: str) -> str:
    """The document's text with the picture and the list as the sources have them now."""
    blocks = {"picture": _draw(read_edges()), "rooms": _list_rooms()}
    return _BLOCK.sub(lambda match: match[1] + blocks[match[2]] + match[3], text)


def read_edges() -> dict[str, set[str]]:
    """Which rooms each room imports from."""
    edges: dict[str, set[str]] = {name: set() for name in (APART, *FLOORS)}
    for module in read_trees():
        if room(module) in edges:
            edges[room(module)] |= {room(known) for known in own_imports(module) if room(known) in edges}
    return {name: known - {name} for name, known in edges.items()}


def reduce_edges(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """The fewest edges that reach the same: one that others together lead to as well is left out."""
    return {
        name: {known for known in near if not any(known in _reached(edges, other) for other in near - {known})}
        for name, near in edges.items()
    }


def _reached(edges: dict[str, set[str]], start: str) -> set[str]:
    near = edges[start]
    return near.union(*(_reached(edges, name) for name in near))


def _draw(edges: dict[str, set[str]]) -> str:
    reduced = reduce_edges(edges)
    lines = [f"    {known} --> {name}" for name in reduced for known in edges if known in reduced[name]]
    return "\n".join(["```mermaid", "flowchart TB", *lines, "```", ""])


def _list_rooms() -> str:
    rows = [f"| `pipeline/{name}/` | {_sentence_of(name)} |" for name in (*FLOORS, APART)]
    return "\n".join(["", "| room | what it is |", "|---|---|", *rows, "", ""])


def _sentence_of(name: str) -> str:
    """The first sentence of a room's docstring."""
    text = ast.get_docstring(ast.parse((PACKAGE / name / "__init__.py").read_text("utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


if __name__ == "__main__":
    main()
