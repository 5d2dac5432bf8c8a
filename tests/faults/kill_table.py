"""The killed commands as a section of the document."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tests.faults.kills import Ended

_HEAD = """## kill -9

Each seed starts a command, kills it with SIGKILL at a moment of one stage (the Nth request at the server, the Nth file
below `data/raw` appearing or, with `prune`, going, the warehouse's copy or log appearing or going, a share of the usual
time), and runs the same command again. A seed is right only if then: the exit code is 0; every total equals the
generator's; no row is there twice; no run has fewer steps than its complete walk received; every raw part is loaded;
the ledger and `repricings` are what they are without a kill; nothing that had landed was fetched again (requests
counted at the server); no process is left; no half of a warehouse, no log, no damaged part is left; every part that
was there is there still, or is on record as pruned, also right after the kill; `prune` and `publish delta` change no
byte of the warehouse; after `forget` no part and no table has the thread, and a rebuild gives the same warehouse; the
lake of `publish delta` has the warehouse's rows, once each. `sync --workers 2` is killed as a whole group and, in as
many seeds, the parent alone.

- **n of m**: so many seeds are right.
- *k over*: in k of them the command had ended before the moment came; what it left is judged all the same.
"""


def render_kills(results: Sequence[Ended]) -> str:
    """Markdown: a row for each command, a column for each stage."""
    stages = list(dict.fromkeys(stage for ended in results for stage in ended.trial.command.stages))
    commands = list(dict.fromkeys(ended.trial.command.name for ended in results))
    right = sum(not ended.problems for ended in results)
    killed = sum(ended.killed for ended in results)
    lines = [
        _HEAD,
        f"{len(results):,} seeds, {right:,} right; {killed:,} were killed while they ran"
        f" ({datetime.now(UTC):%Y-%m-%d}, by `python -m tests.faults kills --seeds {len(results)}`).",
        "",
        f"| command | {' | '.join(stages)} |",
        "|---" * (len(stages) + 1) + "|",
    ]
    for command in commands:
        own = [ended for ended in results if ended.trial.command.name == command]
        cells = [_cell([ended for ended in own if ended.trial.stage == stage]) for stage in stages]
        lines.append(f"| {command} | {' | '.join(cells)} |")
    lines += ["", "A part that was being written may stay under a name that nothing reads; the next sync sweeps it."]
    return "\n".join([*lines, ""])


def _cell(results: Sequence[Ended]) -> str:
    if not results:
        return "-"
    over = sum(not ended.killed for ended in results)
    right = sum(not ended.problems for ended in results)
    return f"{right} of {len(results)}" + (f", *{over} over*" if over else "")
