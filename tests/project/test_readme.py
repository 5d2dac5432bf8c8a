"""What the README shows is what the commands print."""

from pathlib import Path

from tests.readme_examples import README, render


def test_every_output_in_the_readme_is_what_its_command_prints_on_the_sample(tmp_path: Path) -> None:
    text = README.read_text("utf-8")

    rendered = render(text, tmp_path)

    assert rendered.splitlines() == text.splitlines()
