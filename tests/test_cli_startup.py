"""What a command loads before it answers: an officer waits for each import, every time."""

import subprocess
import sys
from pathlib import Path

import county
import pytest
import server
from county import CODE, TOWN, County

ROOT = Path(__file__).parent.parent
# What parses, decides and remembers; `rich` shows what was found. Neither SQLModel nor pydantic:
# what they declare as tables is written out for statements (workflow/tables.py).
USED = {
    "click",
    "sqlalchemy",
    "greenlet",
    "msgspec",
    "typing_extensions",
    "chinese_calendar",
    "transitions",
    "six",
}
SHOWN = {"rich"}
DRIVER = {"psycopg", "psycopg_binary"}
CONFIRM = [
    *("-e", "visit_on=2023-06-01", "-e", "notice_from=2023-06-02", "-e", "notice_to=2023-06-08"),
    *("-e", "consent_on=2023-06-09", "-e", "consent_by=household"),
    *("-e", "old_facility=kang:in_use"),
]
SCRIPT = """
import sys
before = set(sys.modules)
import cli
status = cli.run(sys.argv[1:])
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
parts = ("workflow.", "notifications.", "sqlalchemy.dialects.")
ours = {name for name in sys.modules if name.startswith(parts)}
print(*sorted(loaded - sys.stdlib_module_names), *sorted(ours), file=sys.stderr)
sys.exit(status)
"""


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


def loaded(*arguments: str) -> set[str]:
    """The packages that are not Python's own, and our modules, that a command loads."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split()) - {"cli", "states", "workflow", "notifications"}


def packages(found: set[str]) -> set[str]:
    # Underscores and `cython_runtime` are parts of the others.
    parts = {"cython_runtime"} | (DRIVER if server.shared() else set())
    return {name for name in found if "." not in name and name[0] != "_"} - parts


def test_help_loads_nothing_but_the_parser() -> None:
    assert loaded("--help") == {"click"}


@pytest.mark.parametrize(
    "arguments",
    [["todo"], ["case", "list"], ["case", "show", CODE], ["case", "why", CODE], ["check"]],
)
def test_who_looks_waits_for_no_library_that_is_not_used(
    place: County, arguments: list[str]
) -> None:
    found = loaded("--db", place.url, "--today", "2023-06-20", *arguments)

    assert packages(found) <= USED | SHOWN
    # What writes, what makes documents and another database's ways are not for who looks.
    assert (
        not {
            "workflow.engine",
            "workflow.spreadsheet",
            "notifications.render",
            f"sqlalchemy.dialects.{server.SQLITE if server.shared() else server.POSTGRESQL}",
        }
        & found
    )


@pytest.mark.parametrize("arguments", [["todo"], ["case", "show", CODE], ["check"]])
def test_who_asks_for_json_does_not_load_the_screen(place: County, arguments: list[str]) -> None:
    found = loaded("--db", place.url, "--today", "2023-06-20", "--json", *arguments)

    assert packages(found) <= USED


def test_a_step_loads_neither_templates_nor_documents_nor_keys(place: County) -> None:
    desk = (*county.acting(place, "wang"), "--today", "2023-06-20")

    found = loaded(*desk, "advance", TOWN[1], "confirm", "--on", "2023-06-10", *CONFIRM)

    assert packages(found) <= USED | SHOWN
    assert not {"workflow.spreadsheet", "workflow.outbox", "notifications.render"} & found
