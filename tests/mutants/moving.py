"""Faults in the walks over conversations, responses and sessions."""

from tests.mutants.mutant import Mutant

_RESPONSES = "pipeline/extract/responses.py"
_STEPS = "pipeline/flatten/successors/walks.py"
_NAMED = "verbs/test_sync_named_responses.py"
_LISTED = "verbs/test_sync_successors.py"

SUCCESSORS = (
    Mutant(
        "what was whole before is flattened again from a list alone",
        "outputs and contents that were fetched beside the list vanish with the next visit",
        _RESPONSES,
        "replace(certificate, known_ids=known)",
        "replace(certificate, known_ids=[])",
        (f"{_LISTED}::test_the_warehouse_has_what_the_server_has_before_and_after_it_went_on",),
    ),
    Mutant(
        "a list of items that ends at 100 is believed",
        "outputs of calls are missing without a word",
        _RESPONSES,
        "and walk.items == PAGE_LIMIT",
        "and False",
        (f"{_NAMED}::test_a_list_that_ends_after_100_items_without_an_output_is_said",),
    ),
    Mutant(
        "a turn's items go on after the last item",
        "a server whose cursors are its own refuses the second page",
        "pipeline/protocol/lists.py",
        "TURN_ITEMS: Final = ListRule(by_last_id=True)",
        "TURN_ITEMS: Final = ListRule()",
        (f"{_LISTED}::test_the_warehouse_has_what_the_server_has_before_and_after_it_went_on",),
    ),
    Mutant(
        "a response whose calls wait for outputs is settled",
        "outputs that come with the next response are never fetched",
        _STEPS,
        "if not is_answered or (run.usage is None",
        "if (run.usage is None",
        (f"{_NAMED}::test_outputs_come_with_the_response_that_goes_on_whenever_that_is_named",),
    ),
    Mutant(
        "the name of a response that is of a conversation stays a thread",
        "coverage counts a thread that failed and is none",
        "pipeline/warehouse/transaction/seals.py",
        "    connection.execute(_DELETE_NO_THREADS)\n",
        "",
        (f"{_NAMED}::test_a_response_that_is_had_later_leaves_no_thread_of_its_own",),
    ),
    Mutant(
        "what a gateway cannot do is asked for again",
        "each response of such a provider costs all attempts and their pauses",
        "pipeline/http/retrying.py",
        "and not quota and not _will_never_be(message)",
        "and not quota",
        (f"{_NAMED}::test_what_litellm_cannot_do_is_not_asked_for_again",),
    ),
)
