"""What was spent and by whom, with controls: `marimo edit notebooks/spend_marimo.py` (`pip install marimo '.[notebook]'`)."""

import marimo

app = marimo.App(width="medium", app_title="What was spent")


@app.cell
def _():
    import os
    import sys
    from pathlib import Path

    import marimo as mo

    folder = Path(__file__).parents[1]
    sys.path.append(str(folder))  # of a source checkout

    from pipeline.report.notebook import Scope, bars, set_up, text

    set_up()
    database = os.environ.get("RUN_STEPS_WAREHOUSE", str(folder / "data" / "warehouse.duckdb"))
    lake = os.environ.get("RUN_STEPS_LAKE")
    return Scope, bars, database, lake, mo, os, text


@app.cell
def _(Scope, database, lake, mo, os):
    seen = Scope(database, lake).ask("""
        select min(created_on) as first_day, max(created_on) as last_day from spending
    """).row(0)
    since = mo.ui.date(value=os.environ.get("RUN_STEPS_SINCE") or seen[0], label="from")
    until = mo.ui.date(value=os.environ.get("RUN_STEPS_UNTIL") or seen[1], label="to")
    key = mo.ui.text(value=os.environ.get("RUN_STEPS_KEY", "customer"), label="customers are named by the key")
    mo.hstack([since, until, key], justify="start")
    return key, since, until


@app.cell
def _(Scope, database, key, lake, os, since, until):
    days = [str(day.value) if day.value else None for day in (since, until)]
    ask = Scope(database, lake, os.environ.get("RUN_STEPS_SOURCE"), *days, key.value).ask
    return (ask,)


@app.cell
def _(ask, mo, text):
    answer = ask("""
        select
            sum(cost_usd) + coalesce(sum(fee_usd), 0) as spent_usd, sum(cost_usd) as tokens_usd, sum(fee_usd) as fees_usd,
            try_cast(sum(total_tokens) filter (where unpriced_reason is not null) as bigint) as unpriced_tokens
        from spending
        where in_scope(source, created_on)
    """).row(0, named=True)
    mo.md(
        f"# {text(answer['spent_usd'], 'spent_usd')} spent\n\n"
        f"{text(answer['tokens_usd'], '_usd')} for tokens and {text(answer['fees_usd'], '_usd')} of fees for tools. "
        f"Tokens without a price, in no sum: {text(answer['unpriced_tokens'])}."
    )
    return


@app.cell
def _(ask, bars, mo):
    by_customer = ask("""
        select
            coalesce(json_extract_string(runs.metadata, '$."' || getvariable('key') || '"'), '(none)') as customer,
            sum(coalesce(spending.cost_usd, cast(spending.fee_usd as decimal(38, 12)))) as spent_usd
        from spending
        left join runs using (source, thread_id, run_id)
        where in_scope(source, spending.created_on)
        group by customer
        order by spent_usd desc nulls last, customer
        limit 20
    """)
    mo.ui.altair_chart(
        bars(by_customer, "spent_usd", "customer", axis="US dollars", title="By customer"), chart_selection=False
    ) if len(by_customer) else mo.md("Nothing was spent in this time.")
    return


@app.cell
def _(ask, mo):
    mo.ui.table(
        ask("""
            select
                model, cast(created_on as varchar) as day, cast(sum(cost_usd) as double) as tokens_usd,
                count(distinct (source, thread_id, run_id)) as runs
            from usage_costs
            where in_scope(source, created_on)
            group by model, created_on
            order by tokens_usd desc nulls last, day, model
            limit 200
        """),
        label="The dearest models and days",
    )
    return


@app.cell
def _(ask, mo):
    mo.ui.table(
        ask("""
            select
                coalesce(runs.protocol, '(unknown)') as protocol, cast(min(spending.created_on) as varchar) as first,
                cast(max(spending.created_on) as varchar) as last,
                count(distinct (spending.source, spending.thread_id, spending.run_id)) as runs,
                sum(coalesce(spending.cost_usd, cast(spending.fee_usd as decimal(38, 12)))) as spent_usd
            from spending
            left join runs using (source, thread_id, run_id)
            where in_scope(source, spending.created_on)
            group by runs.protocol
            order by first, protocol
        """),
        label="Run steps of assistants, and what came after them",
    )
    return


if __name__ == "__main__":
    app.run()
