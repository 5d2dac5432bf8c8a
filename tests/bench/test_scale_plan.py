"""The plan in docs/scale.md, and what its text says in numbers, are what the measured figures come to."""

from dataclasses import replace

from bench.publishing import Parts
from bench.scale import DOC, MARKS, read_figures
from bench.scale_lake import Publishing
from bench.scale_plan import (
    ACCOUNT_STEPS,
    ACCOUNT_THREADS,
    CHANGED,
    DAYS_OF_YEAR,
    due_share,
    format_plan,
    per_walk,
    step_requests_per_run,
)
from bench.scale_runs import Pair
from pipeline.extract.protocols import MAX_THREAD_PAGES
from pipeline.protocol.lists import PAGE_LIMIT

TEXT = " ".join(DOC.read_text("utf-8").split())
FIGURES = read_figures()


def test_the_tables_in_the_document_are_those_of_the_kept_figures() -> None:
    plan = DOC.read_text("utf-8").partition(MARKS[0])[2].partition(MARKS[1])[0]

    assert plan == format_plan(FIGURES)


def test_the_age_rule_asks_for_an_eighth_of_threads_that_last_changed_evenly_over_a_year() -> None:
    # 10 days daily, then a tenth of the age apart up to 300 days, then monthly.
    assert round(due_share(), 3) == 0.127


def test_the_hours_of_one_machine_are_those_of_its_share_of_the_plan() -> None:
    runs = ACCOUNT_STEPS / FIGURES.many.steps * FIGURES.many.runs / ACCOUNT_THREADS
    first_s, again_s = (100_000 * requests / 100 for requests in (1 + runs * step_requests_per_run(FIGURES), 1))

    assert (
        f"100,000 threads of the kind planned below in {first_s / 3600:.1f} hours, again in {again_s / 60:.0f} minutes"
        in TEXT
    )


def test_of_the_requests_of_a_day_as_many_are_for_unchanged_threads_as_the_text_says() -> None:
    unchanged = ACCOUNT_THREADS * (1 - CHANGED)
    requests = ACCOUNT_THREADS * (1 + CHANGED * step_requests_per_run(FIGURES))

    assert f"these are {100 * unchanged / requests:.0f} of 100 requests a day" in TEXT


def test_a_year_of_walks_takes_more_of_the_warehouse_than_all_steps_as_the_text_says() -> None:
    year = DAYS_OF_YEAR * ACCOUNT_THREADS * per_walk(FIGURES, "warehouse_bytes")

    assert "a year of these rows takes more of the warehouse than all its steps" in TEXT
    assert year > ACCOUNT_STEPS * FIGURES.per_step("warehouse_bytes")


def test_naming_other_shards_threads_takes_next_to_no_memory_and_the_plan_counts_what_it_takes() -> None:
    assert 0 <= FIGURES.naming.each("peak_mb") * ACCOUNT_THREADS < 100

    dear = replace(FIGURES, naming=replace(FIGURES.naming, peak_mb=(98.0, 347.0)))

    # A million ids held whole: 249 MB more, ten times that for ten million.
    [line] = [line for line in format_plan(dear).splitlines() if "threads named in a file" in line]
    assert int(line.split("|")[2].strip(" MB").replace(",", "")) > 2_490


def test_the_plan_counts_the_flattened_parts_that_the_folders_of_shards_keep() -> None:
    kept = ACCOUNT_STEPS * FIGURES.per_step("flat_bytes") / 1e9

    assert f"| flattened parts, kept by shards with folders of their own | {kept:.1f} GB | bytes a step |" in TEXT


def test_publishing_is_bytes_and_rows_and_for_each_batch_a_look_through_the_whole_lake() -> None:
    # A hundredth of a millisecond of looking for each step of the lake, beside a second; half a second to commit.
    command = Pair("python -m pipeline publish delta lake", (100_000, 200_000), (2.0, 3.0), (300.0, 310.0))
    few, many = Parts(1.0, 0.5, 2**20), Parts(2.0, 0.5, 2**20)
    least, most = (replace(account, body_bytes=0, body_bytes_again=0) for account in (FIGURES.few, FIGURES.many))
    figures = replace(
        FIGURES,
        publish={"new": Publishing(command, few, many), "known": Publishing(command, few, many)},
        walks=replace(FIGURES.walks, rows=1_000, publish=Parts(0.036, 0.018, 0)),
        few=least,
        many=replace(most, body_bytes_again=900 * 2**20),
    )

    plan = format_plan(figures)

    assert "into a lake of 100,000 and 200,000 steps, peak memory, MB | 300, 310 |" in plan
    # A MiB for each of ten million threads, in batches of 24 MiB, of 5,000 s each; and a list for each thread.
    batches = 10_000_000 / 24 + 1 / 3
    change_h, commit_h = batches * 5_000 / 3600 + 0.1, batches / 2 / 3600 + 0.05
    assert f"| publish it: hours of one publisher | {change_h + commit_h:,.1f} |" in plan
    # At any size of the lake.
    assert f"| of these commits, which a cluster does not share | {commit_h:,.1f} |" in plan
    assert f"| with 32 workers of a cluster, one sync | {change_h / 32:,.1f} |" in plan


def test_the_list_of_ten_million_threads_is_not_taken_for_a_list_without_end() -> None:
    assert MAX_THREAD_PAGES * PAGE_LIMIT >= ACCOUNT_THREADS
