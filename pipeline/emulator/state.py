"""The state behind one emulated server."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from aiohttp import web

from pipeline.emulator.account.corpus import Corpus
from pipeline.emulator.dialects import AuthStyle, Dialect
from pipeline.emulator.exchange import RequestLog
from pipeline.emulator.faults.rules import FaultRule
from pipeline.emulator.store import Store
from pipeline.emulator.successors.account import SuccessorLists, Successors, generate_successors, lists_at
from pipeline.emulator.successors.moved import tell_moves

DEFAULT_CONVERSATIONS: Final = 12


@dataclass
class Emulation:
    """What is served, who may read it, what goes wrong; changed only inside the server's event loop."""

    corpus: Corpus
    store: Store
    api_key: str
    auth: AuthStyle
    dialect: Dialect
    rules: list[FaultRule] = field(default_factory=list)
    log: RequestLog = field(default_factory=RequestLog)
    conversations: int = DEFAULT_CONVERSATIONS
    moves: bool = False
    _lists: SuccessorLists | None = None

    def advance(self) -> int:
        """Go on to phase 1 and return the phase."""
        self.store.advance_to(1)
        self._lists = None
        return self.store.phase

    @cached_property
    def successors(self) -> Successors:
        """The account after it moved, as `moves` says from its threads; made when somebody asks for it."""
        if self.moves:
            return tell_moves(self.corpus)
        return generate_successors(seed=self.corpus.seed, conversations=self.conversations)

    def successor_lists(self) -> SuccessorLists:
        """What is listed of it in this phase."""
        if self._lists is None:
            self._lists = lists_at(self.successors, self.store.phase)
        return self._lists


EMULATION: Final = web.AppKey("emulation", Emulation)
