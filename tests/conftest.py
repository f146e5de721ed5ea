"""What any test may ask for by name, and which tests run on which database.

A module that makes a county runs twice, on SQLite and on PostgreSQL (`-k sqlite` or `-k postgresql`
chooses); what is marked `sqlite` or `server` is about the one or the other itself, what is marked
`once` about something that comes after the database.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import county
import pytest
import server
from browser import browser
from hypothesis import settings

from workflow.operation import BINARIES

__all__ = ["browser"]
# How long an example takes is no part of what is tested.
settings.register_profile("xianli", deadline=None)
settings.load_profile("xianli")
# Each of their tests makes its databases by itself: on a small disk, on both kinds, several.
THEIR_OWN_CHOICE = frozenset(["test_disk", "test_soak", "test_workflow_rollup"])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kept_by" in metafunc.fixturenames and (kinds := _kinds(metafunc)):
        metafunc.parametrize("kept_by", kinds, indirect=True, scope="module")


def _kinds(metafunc: pytest.Metafunc) -> tuple[str, ...]:
    if metafunc.definition.get_closest_marker("once"):
        return ()
    if metafunc.definition.get_closest_marker("server"):
        return (server.POSTGRESQL,)
    if metafunc.definition.get_closest_marker("sqlite"):
        return (server.SQLITE,)
    names = vars(metafunc.module).values()
    makers = ("county", "office")
    counties = any(
        (one.__name__ if isinstance(one, ModuleType) else getattr(one, "__module__", "")) in makers
        for one in names
    )
    if not counties or metafunc.module.__name__ in THEIR_OWN_CHOICE:
        return ()
    return server.KINDS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Takes out what one of a test's cases says of itself: that it is about SQLite alone."""
    items[:] = [
        item
        for item in items
        if not (item.get_closest_marker("sqlite") and _kind(item) == server.POSTGRESQL)
    ]


def _kind(item: pytest.Item) -> object:
    call = (
        item.callspec if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
    )
    return call.params.get("kept_by") if call else None


@pytest.fixture(scope="module", autouse=True)
def kept_by(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of database that keeps what is made; a fixture of a module must ask for it."""
    kind: str = getattr(request, "param", server.SQLITE)
    server.use(kind)
    yield kind
    server.drop_made()
    server.use(server.SQLITE)


@pytest.fixture(autouse=True)
def swept(kept_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Databases of a test on a server, and officers' connections, go with it."""
    if kept_by == server.POSTGRESQL:
        # Configuration and letters lie where one stands.
        monkeypatch.chdir(tmp_path)
        programs = server.tools().binaries
        if programs:
            # Those on the PATH may be older than the server.
            monkeypatch.setenv(BINARIES, str(programs))
    before = server.made()
    yield
    # A server has only so many connections.
    while county.CONNECTED:
        county.CONNECTED.pop().close()
    server.drop_made(before)


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody says how wide the terminal is, unless a test does."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def shut(tmp_path: Path) -> Path:
    """A folder in which nobody may make anything, root included."""
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/proc/sys")
    folder = tmp_path / "shut"
    folder.mkdir(mode=0o555)
    return folder
