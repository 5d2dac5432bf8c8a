"""All planted faults by the part of the product that they are in."""

from tests.mutants import fetching, guarding, keeping, money, moving, promising, sharing, using
from tests.mutants.mutant import Mutant

GROUPS: dict[str, tuple[Mutant, ...]] = {
    "Cursors": fetching.CURSORS,
    "What a clean exit says": promising.PROMISES,
    "Retries": fetching.RETRIES,
    "Credentials and connections": fetching.CREDENTIALS,
    "Pace": fetching.PACE,
    "Conversations, responses and sessions": moving.SUCCESSORS,
    "Transport": sharing.TRANSPORT,
    "Shared pace and the age rule": sharing.PACE_AND_AGE,
    "Landing": keeping.LANDING,
    "Flattening": keeping.FLATTENING,
    "Loading": keeping.LOADING,
    "Planning": keeping.PLANNING,
    "Locks": keeping.LOCKS,
    "Worker processes": keeping.WORKERS,
    "Shards and flattened parts": sharing.SHARDS,
    "Lakes": sharing.LAKES,
    "Hidden contents": guarding.CONTENTS,
    "Forgetting": guarding.FORGETTING,
    "Pruning and the doctor": guarding.UPKEEP,
    "Cells and files": guarding.FILES,
    "Prices": money.PRICES,
    "Costs, fees and completeness": (*money.COSTS, *money.RESTS),
    "Ledger": money.LEDGER,
    "Budgets, checks and bills": money.BUDGETS,
    "Queries and report": using.QUERIES,
    "Exit codes and settings": using.EXITS,
    "Archives": using.ARCHIVES,
}


def all_mutants() -> list[Mutant]:
    """Every planted fault, in the order of the document."""
    return [mutant for group in GROUPS.values() for mutant in group]
