"""The list of licences is that of all pinned packages, and none of them asks more of a user than to name it."""

import re

from scripts.list_licences import ALL_REQUIREMENTS, DOCUMENT, REQUIREMENTS, render


def test_the_document_is_what_the_installed_packages_state() -> None:
    rendered = render(REQUIREMENTS.read_text("utf-8"), ALL_REQUIREMENTS.read_text("utf-8"))

    assert DOCUMENT.read_text("utf-8") == rendered, "run: make licences"


def test_no_licence_reaches_what_uses_the_program() -> None:
    # MPL covers changes to its own files only; we change none of them.
    licences = [line.split("|")[2].strip() for line in DOCUMENT.read_text("utf-8").splitlines() if "|" in line]

    words = set(re.findall(r"[A-Za-z]+", " ".join(licences)))
    assert not words & {"GPL", "LGPL", "AGPL", "GNU", "SSPL", "BUSL", "Commons", "NC"}
    assert len(licences) > 150
