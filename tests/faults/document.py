"""docs/reliability.md: sections of several commands, each of which writes its own and leaves the others."""

import re
from pathlib import Path

# In the order of the document, with the command that writes each.
SECTIONS = {"matrix": "make faults", "kills": "make faults", "load": "make load-test"}
_SECTION = re.compile(r"<!-- (?P<name>\w+): written by [^>]+ -->\n(?P<text>.*?)\n<!-- end of (?P=name) -->", re.DOTALL)


def write_section(path: Path, name: str, text: str) -> None:
    """Put a section's new text into the document; what stands outside of sections goes."""
    texts = _read_sections(path) | {name: text.rstrip("\n")}
    parts = [
        f"<!-- {section}: written by {command} -->\n{texts[section]}\n<!-- end of {section} -->\n"
        for section, command in SECTIONS.items()
        if section in texts
    ]
    path.write_text("\n".join(parts), encoding="utf-8")


def read_section(path: Path, name: str) -> str | None:
    """The text of a section, if the document is there and has it."""
    text = _read_sections(path).get(name)
    return None if text is None else f"{text}\n"


def _read_sections(path: Path) -> dict[str, str]:
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    return {match["name"]: match["text"] for match in _SECTION.finditer(old)}
