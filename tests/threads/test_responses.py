"""Ids of responses are found in any text, and a text without any says what was looked for."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.threads.responses import read_response_ids

GATEWAY = "resp_Iam07A0B-vLy_EL6=="


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("resp_1\nresp_2\n", ["resp_1", "resp_2"]),
        ('{"id": "resp_1", "model": "m"}\n{"id":"resp_2"}', ["resp_1", "resp_2"]),
        ("when,response_id\n2026-11-30,resp_1\n", ["resp_1"]),
        ("INFO stored resp_1, goes on from resp_0.\r\nDEBUG nothing\n", ["resp_1", "resp_0"]),
        ("caresp_01b10d042414a88f00 wfresp_7", ["caresp_01b10d042414a88f00", "wfresp_7"]),
        (f"id={GATEWAY} done", [GATEWAY]),
        ("xresp_1 my_resp_2 resp_3", ["resp_3"]),
        ('{"resp_id": "resp_1", "resp_time": 7}', ["resp_1"]),
        ("resp_status=200 resp_1=done resp_2='ok' caresp_body_bytes=5", ["resp_1", "resp_2"]),
        ("resp_abc, {'resp_AbCdEfGhIjKlMnOpQr': 'resp_x'}", ["resp_abc", "resp_AbCdEfGhIjKlMnOpQr", "resp_x"]),
        ("résumé resp_1 \udcff", ["resp_1"]),
    ],
    ids=[
        "lines",
        "jsonl",
        "csv",
        "log",
        "foundry",
        "gateway",
        "inside-a-word",
        "names-of-fields",
        "keys",
        "no-digits",
        "no-utf-8",
    ],
)
def test_ids_are_found_wherever_they_stand(tmp_path: Path, text: str, ids: list[str]) -> None:
    (tmp_path / "log").write_bytes(text.encode(errors="surrogateescape"))
    assert list(read_response_ids([str(tmp_path / "log")])) == ids


@pytest.mark.parametrize("text", ["", "run_1\n", "responses: none\n", "resp_id=- resp_time=7\n"])
def test_a_text_without_ids_is_refused_with_what_was_looked_for(tmp_path: Path, text: str) -> None:
    (tmp_path / "log").write_text(text)
    with pytest.raises(ConfigurationError, match=r"no response ids in .*log: looked for resp_\.\.\., caresp_"):
        list(read_response_ids([str(tmp_path / "log")]))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere cannot be read"):
        list(read_response_ids([str(tmp_path / "nowhere")]))
