"""What an examination finds, one line for each thing that was looked at; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.console.plain_text import plain_line

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at: how it is, what was found, and what to do, where anything is."""

    check: str
    state: State
    found: str
    advice: str | None = None

    @property
    def line(self) -> str:
        """For a person: always one line."""
        advice = f": {self.advice}" if self.advice else ""
        return f"{self.state:<4}  {self.check:<13}  {plain_line(self.found + advice)}"


def failed(diagnoses: Sequence[Diagnosis]) -> bool:
    """Whether something has to be mended before a sync can be trusted to work."""
    return any(diagnosis.state == "fail" for diagnosis in diagnoses)
