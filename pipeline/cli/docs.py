"""The command line of `docs`: pages that ship with the program, on stdout."""

import difflib
from typing import Annotated

import typer


def docs(
    topic: Annotated[
        str | None, typer.Argument(metavar="[TOPIC]", help="A page, as the list without a topic names it.")
    ] = None,
) -> None:
    """Print a page of the documentation, or without a topic the list of pages."""
    from pipeline.console.plain_text import plain_line
    from pipeline.errors import ConfigurationError
    from pipeline.sqlfiles.catalog import resource_path

    pages = {path.stem.lower(): path for path in sorted(resource_path("docs").glob("*.md"))}
    pages["changelog"] = resource_path("CHANGELOG.md") if "changelog" not in pages else pages["changelog"]
    if topic is None:
        for name, path in pages.items():
            title = next((line for line in path.read_text("utf-8").splitlines() if line.startswith("# ")), name)
            print(f"{name:<14} {plain_line(title.removeprefix('# '))}")
        return
    page = pages.get(topic.lower().removesuffix(".md"))
    if page is None:
        near = difflib.get_close_matches(topic.lower(), pages, n=1)
        meant = f"did you mean {near[0]}?" if near else f"there are: {', '.join(pages)}"
        raise ConfigurationError(f"there is no page {topic!r}: {meant}")
    print(page.read_text("utf-8"), end="")
