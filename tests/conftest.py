"""What any test may ask for by name."""

import os
from collections.abc import Iterator
from pathlib import Path

import county
import pytest
from browser import browser

__all__ = ["browser"]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody says how wide the terminal is, unless a test does."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def connections_closed() -> Iterator[None]:
    """Officers' connections to a server end with the test."""
    yield
    while county.CONNECTED:
        county.CONNECTED.pop().close()


@pytest.fixture
def shut(tmp_path: Path) -> Path:
    """A folder in which nobody may make anything, root included."""
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/proc/sys")
    folder = tmp_path / "shut"
    folder.mkdir(mode=0o555)
    return folder
