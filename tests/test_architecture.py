"""Which way the arrows go, who may touch what (design, section 6): read from the source."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# A layer may import itself and what stands to the right of it.
LAYERS = ("cli", "workflow", "notifications", "states")
SOURCES = sorted(
    [
        ROOT / "cli.py",
        *(file for layer in LAYERS[1:] for file in (ROOT / layer).rglob("*.py")),
    ]
)
NAMES = [str(file.relative_to(ROOT)) for file in SOURCES]
GATES = {
    "transitions": {"states/machine.py"},
    "chinese_calendar": {"states/workdays.py"},
    "jinja2": {"notifications/render.py"},
    "segno": {"notifications/qr.py"},
    "PIL": {"notifications/thumbnails.py"},
    "typst": {"notifications/pdf.py"},
    "noto_cjk": {"notifications/pdf.py"},
    "docx": {"notifications/word.py"},
    "rich": {"notifications/surface.py"},
    "python_calamine": {"workflow/spreadsheet.py"},
    "xlsxwriter": {"workflow/spreadsheet.py", "workflow/report_sheet.py"},
    "openpyxl": set(),
    "apscheduler": {"workflow/scheduler.py"},
    "click": {"cli.py"},
    # The independent audit shares no code with the program, so it has a gate of its own.
    "cryptography": {"workflow/signing.py", "workflow/verify.py"},
}


def imports(file: Path) -> Iterator[tuple[str, ast.AST]]:
    """The top-level package of every import, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield (node.module or "").partition(".")[0], node


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute or name, else nothing."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("name", NAMES)
def test_arrows_go_one_way(name: str) -> None:
    layer = name.removesuffix(".py").partition("/")[0]
    allowed = set(LAYERS[LAYERS.index(layer) :])

    ours = {package for package, _ in imports(ROOT / name) if package in LAYERS}

    assert ours <= allowed


@pytest.mark.parametrize("package", list(GATES))
def test_a_third_party_package_has_one_gate(package: str) -> None:
    found = {
        name for name in NAMES if package in {imported for imported, _ in imports(ROOT / name)}
    }

    assert found == GATES[package]


def test_the_rules_are_pure() -> None:
    """No clock, files, database or environment in `states`."""
    forbidden = {
        "os",
        "sys",
        "io",
        "pathlib",
        "sqlite3",
        "sqlalchemy",
        "sqlmodel",
        "alembic",
        "time",
        "random",
        "subprocess",
        "socket",
        "logging",
        "tempfile",
        "shutil",
    }

    for name in NAMES:
        if name.startswith("states/"):
            assert not {package for package, _ in imports(ROOT / name)} & forbidden, name


def test_only_the_memory_knows_the_database() -> None:
    database = {"sqlalchemy", "sqlmodel", "alembic", "sqlite3"}

    for name in NAMES:
        if not name.startswith("workflow/"):
            assert not {package for package, _ in imports(ROOT / name)} & database, name


def test_the_independent_audit_needs_nothing_but_a_library_for_signatures() -> None:
    packages = {package for package, _ in imports(ROOT / "workflow/verify.py")}

    assert packages <= {*sys.stdlib_module_names, "cryptography"}


CLOCKS = ("now", "utcnow", "today", "time", "monotonic", "fromtimestamp")


def calls(name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield dotted(node.func)


@pytest.mark.parametrize("name", NAMES)
def test_the_clock_is_read_in_the_command_line_only(name: str) -> None:
    read = {
        call
        for call in calls(name)
        if call
        in {
            f"{of}.{how}"
            for of in ("datetime", "date", "time", "datetime.datetime")
            for how in CLOCKS
        }
        | {"datetime.date.today"}
    }

    assert not read or name == "cli.py"


def test_the_test_of_the_clock_would_see_a_clock() -> None:
    assert "datetime.now" in set(calls("cli.py"))


@pytest.mark.parametrize("name", NAMES)
def test_the_environment_and_the_screen_are_the_command_lines(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    words = {dotted(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    touched = words & {"os.environ", "os.getenv", "os.putenv"}

    assert not touched or name == "cli.py"
    assert "print" not in set(calls(name))


def writes_the_journal(text: str) -> bool:
    """Whether a source inserts into the journal's table, under whatever name it has there."""
    names = {"tables.JOURNAL", *re.findall(r"^(\w+) = tables\.JOURNAL$", text, re.MULTILINE)}
    ways = (f"{way}" for name in names for way in (f"insert({name})", f"{name}.insert("))
    return "INSERT INTO journal" in text or any(way in text for way in ways)


def test_the_journal_has_one_append_path() -> None:
    """It is inserted into in `journal.py` alone, and nobody else builds such SQL."""
    found = {name for name in NAMES if writes_the_journal((ROOT / name).read_text("utf-8"))}

    assert found == {"workflow/journal.py"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["advance", "--help"], ["ledger", "import", "--help"]]
)
def test_help_imports_neither_database_nor_screen(arguments: list[str]) -> None:
    script = (
        "import sys, cli\n"
        f"status = cli.run({arguments!r})\n"
        "heavy = {'sqlmodel', 'sqlalchemy', 'rich', 'pydantic', 'transitions', 'jinja2',\n"
        "         'python_calamine', 'xlsxwriter', 'chinese_calendar', 'alembic',\n"
        "         'cryptography', 'docx', 'segno', 'PIL', 'typst'}\n"
        "sys.stderr.write(' '.join(sorted(heavy & set(sys.modules))))\n"
        "sys.exit(status)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True
    )

    assert done.stderr == ""
    assert "Usage" in done.stdout or "用法" in done.stdout


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    stems = {file.stem for file in SOURCES}

    assert not stems & {"utils", "util", "base", "helpers", "common", "misc"}
