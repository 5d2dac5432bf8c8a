"""The state behind one emulated server."""

from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from pipeline.emulator.account.corpus import Corpus
from pipeline.emulator.dialects import AuthStyle, Dialect
from pipeline.emulator.exchange import RequestLog
from pipeline.emulator.faults.rules import FaultRule
from pipeline.emulator.store import Store


@dataclass(slots=True)
class Emulation:
    """What is served, who may read it, what goes wrong; changed only inside the server's event loop."""

    corpus: Corpus
    store: Store
    api_key: str
    auth: AuthStyle
    dialect: Dialect
    rules: list[FaultRule] = field(default_factory=list)
    log: RequestLog = field(default_factory=RequestLog)

    def advance(self) -> int:
        """Go on to phase 1 and return the phase."""
        self.store.advance_to(1)
        return self.store.phase


EMULATION: Final = web.AppKey("emulation", Emulation)
