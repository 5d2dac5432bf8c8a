"""The plan in docs/scale.md is what its measured figures come to."""

from bench.scale import DOC, MARKS, due_share, format_plan, read_figures


def test_the_tables_in_the_document_are_those_of_the_kept_figures() -> None:
    plan = DOC.read_text("utf-8").partition(MARKS[0])[2].partition(MARKS[1])[0]

    assert plan == format_plan(read_figures())


def test_the_age_rule_asks_for_an_eighth_of_threads_that_last_changed_evenly_over_a_year() -> None:
    # 10 days daily, then a tenth of the age apart up to 300 days, then monthly.
    assert round(due_share(), 3) == 0.127
