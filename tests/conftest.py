"""What any test may ask for by name."""

import pytest
from browser import browser

__all__ = ["browser"]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody says how wide the terminal is, unless a test does."""
    monkeypatch.delenv("COLUMNS", raising=False)
