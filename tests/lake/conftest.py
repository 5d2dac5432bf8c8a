"""What tests of lakes begin with: parts of every kind, loaded, and the lake of them. None of them changes either."""

from pathlib import Path

import pytest

from tests.lakes import land_everything
from tests.publish_parts import publish


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    land_everything(folder)
    return folder


@pytest.fixture(scope="session")
def lake(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parts in one batch."""
    folder = tmp_path_factory.mktemp("lake")
    publish(data_dir, folder)
    return folder
