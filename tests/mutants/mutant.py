"""A planted fault as data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old`, which stands once in `file`, becomes `new`; one of `tests` must then fail, though all pass before.

    `fault` is what was planted and `breaks` what a user would suffer, both in plain words; `tests` are node ids
    below `tests/`, without parameters.
    """

    fault: str
    breaks: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def node_ids(self) -> list[str]:
        """The tests as pytest takes them, from the root of the repository."""
        return [f"tests/{test}" for test in self.tests]


def apply(mutant: Mutant, text: str) -> str:
    """The file's text with the fault in it. Raises ValueError unless there is one place for it."""
    if (places := text.count(mutant.old)) != 1:
        raise ValueError(f"{mutant.fault}: {mutant.file} has its text {places} times: {mutant.old!r}")
    return text.replace(mutant.old, mutant.new)
