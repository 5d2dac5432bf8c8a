"""A local, stateful server of the threads, runs and steps protocol with a generated account behind it.

In: a size and a seed, faults to play. Out: a server on loopback, and the truth about what it holds.
Never knows: any other room.
"""

from pipeline.emulator.account.corpus import Corpus, generate_corpus
from pipeline.emulator.account.truth import TokenTotals, Truth
from pipeline.emulator.server import create_app, serve
from pipeline.emulator.start import RunningEmulator, run_emulator, running_emulator

__all__ = [
    "Corpus",
    "RunningEmulator",
    "TokenTotals",
    "Truth",
    "create_app",
    "generate_corpus",
    "run_emulator",
    "running_emulator",
    "serve",
]
