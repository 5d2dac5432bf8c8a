"""`docs/architecture.md` is true: its picture is that of the imports, and what it names is where it says."""

import ast
import re
from pathlib import Path

import pytest

from scripts.draw_architecture import DOCUMENT, read_edges, reduce_edges, render

ROOT = Path(__file__).parents[2]
TEXT = DOCUMENT.read_text("utf-8")
Row = tuple[str, str, str]


def rows_below(heading: str) -> list[Row]:
    """The rows of the table below a heading."""
    section = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = [re.split(r" \| ", line.strip("| ")) for line in section.splitlines() if line.startswith("| ")]
    return [(first, second, third) for first, second, third in cells[1:]]


QUESTIONS = rows_below("Where is ...?")
PLACES = rows_below("Where a new one goes")


def defined_in(path: Path) -> set[str]:
    """What a file defines: functions, classes with their methods, constants; a view by its name."""
    text = path.read_text("utf-8")
    if path.suffix == ".sql":
        return set(re.findall(r"^create (?:or replace view|or replace macro|table) (\w+)", text, flags=re.MULTILINE))
    names: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_the_picture_and_the_list_of_rooms_are_those_of_the_sources() -> None:
    assert render(TEXT) == TEXT, "run: make architecture"


def reached(edges: dict[str, set[str]], start: str) -> set[str]:
    return edges[start].union(*(reached(edges, known) for known in edges[start]))


def test_the_picture_leaves_out_only_what_its_other_arrows_say() -> None:
    edges = read_edges()
    reduced = reduce_edges(edges)

    assert {name: reached(reduced, name) for name in edges} == {name: reached(edges, name) for name in edges}
    assert sum(map(len, reduced.values())) < sum(map(len, edges.values()))


def test_there_are_some_thirty_questions_and_none_twice() -> None:
    assert len({question for question, _, _ in QUESTIONS}) == len(QUESTIONS)
    assert 30 <= len(QUESTIONS) <= 40


@pytest.mark.parametrize(("question", "file", "name"), QUESTIONS)
def test_what_answers_a_question_is_defined_in_the_file_that_is_named(question: str, file: str, name: str) -> None:
    path = ROOT / file.strip("`")

    assert question.endswith("?")
    assert name.strip("`") in defined_in(path)


@pytest.mark.parametrize(("new", "place", "how"), PLACES)
def test_a_place_for_something_new_is_there_with_what_is_named_in_it(new: str, place: str, how: str) -> None:
    path = ROOT / place.strip("`")
    names = re.findall(r"`(\w+)`", how)

    assert path.exists()
    assert [name for name in names if name not in defined_in(path)] == []
    assert [inner for inner in re.findall(r"`([\w.]+/[\w./]*)`", how) if not (ROOT / inner).exists()] == []
