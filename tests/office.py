"""A county office at its terminal: the command line over a database of the shipped plan."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import county
import pytest
import server
from county import County

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
    """Runs commands as `login` on a county's database, whose folder is its own."""

    place: County
    capsys: pytest.CaptureFixture[str]
    login: str = "county"

    @property
    def folder(self) -> Path:
        return self.place.file.parent

    @property
    def database(self) -> Path:
        """The file, where the database is one."""
        assert not self.place.database.shared
        return self.place.file

    @property
    def acting(self) -> list[str]:
        """The options that say which database and who."""
        return county.acting(self.place, self.login)

    def by(self, login: str) -> "Office":
        """The same database with another officer at the terminal."""
        return replace(self, login=login)

    def run(self, *arguments: str | Path, as_json: bool = True) -> Said:
        given = [*self.acting, *map(str, arguments)]
        self.capsys.readouterr()
        status = cli.run(["--json", *given] if as_json else given)
        printed = self.capsys.readouterr()
        return Said(status, printed.out + printed.err)

    def every_row(self) -> dict[str, list[tuple[object, ...]]]:
        """All tables with all their rows: two dumps are equal when nothing was written."""
        return county.every_row(self.place)


@cache
def _founded(*, shared: bool) -> str:
    file = Path(tempfile.mkdtemp(prefix="xianli-office-")) / "xianli.db"
    url = server.new(lasting=True) if shared else str(file)
    init = ["init", "--plan", "wutai-2023", "--first", "county", "--name", "县办"]
    assert cli.run(["--db", url, *init]) == 0
    return url


def make_office(folder: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    """An office whose database holds the plan and its first officer, `county`, and nothing else."""
    return Office(county.copy_of(_founded(shared=server.shared()), folder), capsys)
