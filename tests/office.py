"""A county office at its terminal: the command line over a database of the shipped plan."""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import cli

Entry = Mapping[str, object]


@dataclass(frozen=True)
class Said:
    """How a command ended, and all it printed."""

    status: int
    text: str

    @property
    def answer(self) -> Entry:
        answer: Entry = json.loads(self.text)
        return answer


@dataclass(frozen=True)
class Office:
    """Runs commands as `login` in a folder of its own."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    login: str = "county"

    @property
    def database(self) -> Path:
        return self.folder / "xianli.db"

    def run(self, *arguments: str | Path, as_json: bool = True) -> Said:
        given = ["--db", str(self.database), "--as", self.login, *map(str, arguments)]
        self.capsys.readouterr()
        status = cli.run(["--json", *given] if as_json else given)
        printed = self.capsys.readouterr()
        return Said(status, printed.out + printed.err)

    def every_row(self) -> dict[str, list[tuple[object, ...]]]:
        """All tables with all their rows: two dumps are equal when nothing was written."""
        connection = sqlite3.connect(self.database)
        query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        rows = {
            name: sorted(connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr)
            for (name,) in connection.execute(query).fetchall()
        }
        connection.close()
        return rows


@cache
def _founded() -> Path:
    database = Path(tempfile.mkdtemp(prefix="xianli-office-")) / "xianli.db"
    init = ["init", "--plan", "wutai-2023", "--first", "county", "--name", "县办"]
    assert cli.run(["--db", str(database), *init]) == 0
    return database


def make_office(folder: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    """An office whose database holds the plan and its first officer, `county`, and nothing else."""
    shutil.copy(_founded(), folder / "xianli.db")
    return Office(folder, capsys)
