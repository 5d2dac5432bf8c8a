"""Thread ids from the command line and from files of every kind, and what is said about files that are not usable."""

import io
import sys
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import ConfigurationError
from pipeline.threads.files import read_thread_file, read_thread_ids


def write(folder: Path, content: str | bytes, name: str = "ids") -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


COMMENTS = ("comment_with_comma", "comments_indented", "only_comments")


@pytest.mark.parametrize(
    "content, ids",
    [
        ("thread_1\nthread_2\n", ["thread_1", "thread_2"]),
        ("thread_1\r\nthread_2", ["thread_1", "thread_2"]),
        ("\n\n  thread_1  \n\t\n\nthread_2\n\n", ["thread_1", "thread_2"]),
        ("\ufeffthread_1\nthread_2\n", ["thread_1", "thread_2"]),
        ("", []),
        ("\n \n", []),
        ("# of last week\nthread_1\n", ["thread_1"]),
        ("\n# exported, by ops\nthread_1\n", ["thread_1"]),
        ("thread_1\n  # note\n\t#\nthread_2\n", ["thread_1", "thread_2"]),
        ("# {\n", []),
        ("läuft\n名前\na/b?c#d\n", ["läuft", "名前", "a/b?c#d"]),
        ("a\u2028b\nc\x85d\n", ["a\u2028b", "c\x85d"]),
    ],
    ids=["lines", "crlf", "blanks", "bom", "empty", "only_blanks", "comment", *COMMENTS, "odd_signs", "odd_separators"],
)
def test_lines(tmp_path: Path, content: str, ids: list[str]) -> None:
    assert list(read_thread_file(write(tmp_path, content))) == ids


@pytest.mark.parametrize(
    "content, ids",
    [
        ("thread_id\nthread_1\nthread_2\n", ["thread_1", "thread_2"]),
        ('"thread_id"\n"thread_1"\n', ["thread_1"]),
        ("\ufeffthread_id\nthread_1\n", ["thread_1"]),
        ("\ufeffthread_id,name\nthread_1,x\n", ["thread_1"]),
        ("name;thread_id\nx;thread_1\nz;thread_2\n", ["thread_1", "thread_2"]),
        ("name\tthread_id\nx\tthread_1\n", ["thread_1"]),
        ('name,thread_id\n"a, b","thread,1"\n', ["thread,1"]),
        ("name,thread_id\r\nx,thread_1\r\n", ["thread_1"]),
        ("thread_id,n\n007,1\n12,2\n", ["007", "12"]),
        ("thread_id,n\n", []),
        ("# note\nthread_id,name\nthread_1,a\n", ["thread_1"]),
        ("# a; b\n\n # c\nthread_id\n #,d\nthread_1\n", ["thread_1"]),
        ('thread_id,n\n#"1,2,3\nthread_1,1\n', ["thread_1"]),
        ('thread_id,n\nthread_1,"a\n# no comment"\n"#2",1\n', ["thread_1", "#2"]),
    ],
)
def test_csv_with_a_thread_id_column(tmp_path: Path, content: str, ids: list[str]) -> None:
    assert list(read_thread_file(write(tmp_path, content))) == ids


@pytest.mark.parametrize(
    "content, ids",
    [
        ('{"thread_id": "thread_1"}\n{"thread_id": "thread_2", "n": 1}\n', ["thread_1", "thread_2"]),
        ('\ufeff\n  {"thread_id": "thread_1"}\n\n', ["thread_1"]),
        ('{"thread_id": "thread_1", "text": "one\u2028line\x85still"}\n', ["thread_1"]),
        ('{"a": 1, "thread_id": "a,b"}\n', ["a,b"]),
        ('# a, b\n{"thread_id": "thread_1"}\n  # c\n{"thread_id": "#2"}\n', ["thread_1", "#2"]),
    ],
)
def test_jsonl_with_a_thread_id_field(tmp_path: Path, content: str, ids: list[str]) -> None:
    assert list(read_thread_file(write(tmp_path, content))) == ids


def test_parquet_with_a_thread_id_column(tmp_path: Path) -> None:
    path = tmp_path / "any.name"
    pl.DataFrame({"n": [1, 2], "thread_id": ["thread_1", " thread_2 "]}).write_parquet(path)
    assert list(read_thread_file(str(path))) == ["thread_1", "thread_2"]


@pytest.mark.parametrize("content", ["name,thread_id\nx,thread_1\ny,\n", b""], ids=["csv", "parquet"])
def test_a_row_without_an_id_is_refused_with_its_line(tmp_path: Path, content: str | bytes) -> None:
    path = write(tmp_path, content)
    if not content:
        pl.DataFrame({"thread_id": ["thread_0", "thread_1", None]}).write_parquet(path)

    with pytest.raises(ConfigurationError, match="line 3: '' cannot be a thread id"):
        list(read_thread_file(path))


def test_a_file_is_read_on_across_pieces_that_cut_its_lines_and_signs(tmp_path: Path) -> None:
    # Odd lengths, so that the end of a piece falls on a sign of two bytes and between the two signs of a line's end.
    ids = [f"thread_{'é' * (number % 7)}{number}" for number in range(30_000)]

    assert list(read_thread_file(write(tmp_path, "\r\n".join(ids)))) == ids


def test_what_is_not_utf8_is_told_by_its_place_in_the_whole_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="byte 200003 is not UTF-8"):
        list(read_thread_file(write(tmp_path, b"\xef\xbb\xbf" + b"thread_1\r\n" * 20_000 + b"\xff")))


def test_csv_fields_of_several_lines_and_of_any_length_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, f'note,thread_id\n"a\nb",thread_1\n\n{"x" * 200_000},thread_2\n"open')

    ids = read_thread_file(path)

    assert [next(ids), next(ids)] == ["thread_1", "thread_2"]
    with pytest.raises(ConfigurationError, match="is not a CSV file that can be read: line 6: unexpected end of data"):
        next(ids)


def test_parquet_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    pl.DataFrame({"thread_id": ["thread_1"]}).write_parquet(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.getvalue())))

    assert list(read_thread_file("-")) == ["thread_1"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfthread_1\nthread_2\n")))
    assert list(read_thread_file("-")) == ["thread_1", "thread_2"]


def test_a_bad_line_of_standard_input_is_named_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"thread_1\n..\n")))
    with pytest.raises(ConfigurationError, match=r"^standard input, line 2: '\.\.' cannot be a thread id$"):
        list(read_thread_file("-"))


def test_ids_come_in_the_order_of_naming(tmp_path: Path) -> None:
    first = write(tmp_path, "c\na\nc\n", "first")
    second = write(tmp_path, "thread_id\nd\nb\n", "second")
    assert list(read_thread_ids(["b", "a", "b"], [first, second])) == ["b", "a", "b", "c", "a", "c", "d", "b"]


def test_a_bad_id_of_the_command_line_is_named_so() -> None:
    with pytest.raises(ConfigurationError, match=r"^the command line: '' cannot be a thread id$"):
        list(read_thread_ids(["thread_1", ""], []))


@pytest.mark.parametrize(
    "content, message",
    [
        ("thread_1\n\na\tb\n", r"line 3: 'a\\tb' cannot be a thread id"),
        ("thread_id,n\nthread_1,1\n..,2\n", r"line 3: '\.\.' cannot be a thread id"),
        ("# a\nthread_id,n\n# b\n..,2\n", r"line 4: '\.\.' cannot be a thread id"),
        ("name,id\nx,y\n", "has no column 'thread_id'; it has: name, id"),
        ("thread_id,n\nthread_1,1,2,3\n", "is not a CSV file that can be read"),
        ('{"thread_id": "thread_1"}\n{"thread_id": \n', "line 2: not a JSON object"),
        ('{"thread_id": "thread_1"}\n\n["thread_2"]\n', "line 3: not a JSON object"),
        ('{"thread_id": "thread_1"}\n{"id": "thread_2"}\n', "line 2: no text in 'thread_id'"),
        ('{"thread_id": 7}\n', "line 1: no text in 'thread_id'"),
        ('{"thread_id": ".."}\n', r"line 1: '\.\.' cannot be a thread id"),
        (b"thread_\xff\n", "byte 7 is not UTF-8: save it as UTF-8 or as Parquet"),
        ("thread_1\n".encode("utf-16"), "byte 0 is not UTF-8"),
        (b"PAR1 and no more", "is not a Parquet file that can be read"),
        (b"PAR1", "is not a Parquet file that can be read"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(tmp_path: Path, content: str | bytes, message: str) -> None:
    file = write(tmp_path, content)
    with pytest.raises(ConfigurationError, match=message) as raised:
        list(read_thread_file(file))
    assert str(raised.value).startswith(file)


def test_parquet_without_the_column_says_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "ids.parquet"
    pl.DataFrame({"id": ["x"], "n": [1]}).write_parquet(path)
    with pytest.raises(ConfigurationError, match="has no column 'thread_id'; it has: id, n"):
        list(read_thread_file(str(path)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere cannot be read: No such file or directory"):
        list(read_thread_file(str(tmp_path / "nowhere")))
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        list(read_thread_file(str(tmp_path)))
