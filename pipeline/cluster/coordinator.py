"""What the workers of one sync have in common: their pace, their reports, and whether to go on."""

from dataclasses import dataclass, field

from pipeline.extract.fetching import Progress
from pipeline.extract.share import Report
from pipeline.http.client import Traffic
from pipeline.http.shared_pace import Ask, Grant, PaceBudget


@dataclass(slots=True)
class _Begun:
    attempts: int = 0
    report: Report | None = None


@dataclass(slots=True)
class Coordinator:
    """One for all extractions of a sync, so that each goes on with the pace that the one before has learned.

    Any number of processes may call it, one after another.
    """

    budget: PaceBudget
    begun: dict[int, _Begun] = field(default_factory=dict)
    dead: list[Report] = field(default_factory=list)
    stopping: bool = False

    def open(self) -> None:
        """Begin an extraction: what was said in the one before is forgotten, but for the pace."""
        self.begun, self.dead, self.stopping = {}, [], False

    def begin(self, share: int) -> int:
        """How many processes have begun this share before: each but the last of them died."""
        state = self.begun.setdefault(share, _Begun())
        attempt, state.attempts = state.attempts, state.attempts + 1
        if state.report is not None:
            # What it landed its successor counts; what it asked the server for is nobody else's.
            self.dead.append(Report(Progress(), state.report.traffic, 0))
            state.report = Report(state.report.progress, Traffic(), state.report.parts)
        return attempt

    def grant(self, ask: Ask) -> Grant:
        """Permits to start requests."""
        return self.budget.grant(ask)

    def report(self, share: int, attempt: int, report: Report) -> bool:
        """Take the state of a share; whether it may go on."""
        state = self.begun.get(share)
        if state is None or attempt + 1 != state.attempts:
            return False
        state.report = report
        return not self.stopping

    def stop(self) -> None:
        """Have everybody land what they hold, and end."""
        self.stopping = True

    def read(self) -> list[Report]:
        """The last words of everybody."""
        return [*(state.report for state in self.begun.values() if state.report is not None), *self.dead]
