"""A local, stateful server of the threads, runs and steps protocol with a generated account behind it."""

from pipeline.emulator.corpus import Corpus, generate_corpus
from pipeline.emulator.running import RunningEmulator, run_emulator, running_emulator
from pipeline.emulator.server import create_app, serve
from pipeline.emulator.truth import TokenTotals, Truth

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
