"""A full disk at many levels, a folder that cannot be written, a damaged page, a missing right.

Each command says so plainly, ends with the right status and leaves nothing; with room it works.
"""

import gc
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import county
import forms
import psycopg
import pytest
import server
import small
from county import CODE, TOWN, County
from older import older
from small import Disk

import cli
from states.vocabulary import FactKind, State

DAY = "2023-06-20"
# From nothing to more than any of the commands needs.
LEVELS = (0, 16_384, 65_536, 180_224, 524_288, 1_572_864, 4_194_304)
PAGES = 25


@dataclass(frozen=True)
class Told:
    status: int
    code: str
    message: str


class Office:
    """Types commands at a county whose database lies on the small disk."""

    def __init__(self, place: County, disk: Disk, capsys: pytest.CaptureFixture[str]) -> None:
        self.place, self.disk, self._capsys = place, disk, capsys

    def run(self, login: str, *command: str | Path, url: str | None = None) -> Told:
        self.place.database.close()
        self._capsys.readouterr()
        who = ["--db", url, "--as", login] if url else county.acting(self.place, login)
        status = cli.run(["--json", *who, "--today", DAY, *map(str, command)])
        # A process of its own would have ended and let go of the file.
        gc.collect()
        printed = self._capsys.readouterr()
        found = json.loads(printed.out)
        error = found.get("error") if isinstance(found, dict) else None
        if error is None:
            return Told(status, "", printed.err)
        return Told(status, str(error["code"]), f"{error['message']}；{error['remedy']}")

    @contextmanager
    def leaving(self, free: int) -> Iterator[None]:
        """So much room; the test's own connection takes none of it."""
        self.place.database.close()
        with self.disk.leaving(free):
            yield

    def there(self) -> set[str]:
        """The files on the disk, but for locks and what SQLite keeps beside its own."""
        folder = self.disk.folder
        files = {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}
        return {one for one in files if not one.endswith(("-wal", "-shm", ".lock", small.FILLER))}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small.disk(tmp_path / "disk") as found:
        yield found


@pytest.fixture
def office(disk: Disk, capsys: pytest.CaptureFixture[str]) -> Office:
    return Office(county.fresh(disk.folder), disk, capsys)


def paper(office: Office, size: int = 200_000) -> Path:
    file = office.disk.folder / "paper.pdf"
    file.write_bytes(b"%PDF-1.4 " + random.Random(1).randbytes(size))
    return file


Command = tuple[str, Sequence[str | Path]]


def _advance(office: Office) -> Command:
    pairs = county.pairs_of(county.confirm(CODE))
    given = [part for pair in pairs for part in ("-e", "=".join(pair))]
    return "wang", ["advance", CODE, "confirm", *given, "--attach", paper(office)]


def _batch(office: Office) -> Command:
    form = forms.template(office.place, FactKind.COMPLAINT)
    told = {"发生日期": DAY, "what": "不热" * 200}
    return "wang", ["batch", "apply", forms.fill(form, dict.fromkeys(TOWN, told))]


def _import(office: Office) -> Command:
    rows = [county.household(n, "101", 计划类别="超计划", 备注="院" * 90) for n in range(300, 420)]
    return "wang", ["ledger", "import", county.write_workbook(office.disk.folder / "a.xlsx", rows)]


def _upgrade(office: Office) -> Command:
    file = office.disk.folder / "county.db"
    office.place.database.close()
    kept = Path(shutil.move(file, office.disk.folder.parent / "kept.db"))
    older(County(kept, office.place.database), file, "0003")
    return "zhang", ["db", "upgrade"]


def _to(*command: str) -> Callable[[Office], Command]:
    """A command that writes a file; `OUT` stands for its place."""

    def made(office: Office) -> Command:
        county.carry(office.place, TOWN[:1], State.EQUIPMENT_SELECTION)
        folder = str(office.disk.folder)
        return "zhang", [word.replace("OUT", f"{folder}/out") for word in command]

    return made


COMMANDS: Mapping[str, Callable[[Office], Command]] = {
    "advance": _advance,
    "batch apply": _batch,
    "ledger import": _import,
    "db upgrade": _upgrade,
    "db backup": _to("db", "backup", "OUT.db"),
    "db copy": _to("db", "copy", "OUT.db"),
    "audit checkpoint": _to("audit", "checkpoint", "OUT.txt"),
    "audit bundle": _to("audit", "bundle", "OUT.jsonl"),
    "ledger export": _to("ledger", "export", "OUT.xlsx"),
    "report ledgers": _to("report", "ledgers", "OUT.xlsx"),
    "report dashboard": _to("report", "dashboard", "OUT.html"),
    "report dossier": _to("report", "dossier", CODE, "OUT.html"),
    "report bulletin": _to("report", "bulletin", "OUT", "--force"),
    "report site": _to("report", "site", "OUT"),
}
# What these write before the disk is full is a whole file, and the rest comes the next time; the
# checkpoint is in the journal before its file is there.
PIECEMEAL = ("report bulletin", "audit checkpoint")


def is_plain(told: Told) -> bool:
    """Whether it is said in Chinese what to do, as of a file that cannot be used."""
    return told.status == 3 and any("\u4e00" <= letter <= "\u9fff" for letter in told.message)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_on_a_full_disk_nothing_is_done_and_with_room_it_is(office: Office, name: str) -> None:
    login, command = COMMANDS[name](office)
    before, files = county.every_row(office.place), office.there()
    told = Told(0, "", "")

    for level in LEVELS:
        with office.leaving(level):
            told = office.run(login, *command)
        assert level or told.status
        if told.status == 0:
            break
        assert is_plain(told), (level, told)
        if name not in PIECEMEAL:
            assert county.every_row(office.place) == before, level
            assert office.there() == files, level

    assert told.status == 0
    assert county.every_row(office.place) != before or office.there() != files


def test_a_new_database_on_a_full_disk_leaves_nothing(office: Office) -> None:
    command = ["init", "--plan", "wutai-2023", "--drill", "--first", "zhang", "--name", "张"]
    url, files = str(office.disk.folder / "new.db"), office.there()

    for level in LEVELS:
        with office.leaving(level):
            told = office.run("zhang", *command, url=url)
        if told.status == 0:
            break
        assert is_plain(told), (level, told)
        assert office.there() == files, level

    assert office.there() == {*files, "new.db"}
    assert office.run("zhang", "audit", "verify", url=url).status == 0


# Folders and files that are not ours to write -----------------------------------------------------


@pytest.fixture
def open_place(capsys: pytest.CaptureFixture[str]) -> Iterator[Office]:
    """A county in a folder that everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="xianli-shut-"))
    folder.chmod(0o755)
    place = county.fresh(folder)
    place.file.chmod(0o644)
    yield Office(place, Disk(folder, mounted=False), capsys)
    folder.chmod(0o755)
    shutil.rmtree(folder)


# Not those that read a spreadsheet: nobody may start the interpreter where it lies in root's home.
@pytest.mark.parametrize("name", ["advance", "audit checkpoint"])
@pytest.mark.parametrize("shut", ["folder", "file", "unreadable"])
def test_what_may_not_be_written_is_told_and_left_alone(
    open_place: Office, name: str, shut: str
) -> None:
    login, command = COMMANDS[name](open_place)
    for file in open_place.disk.folder.iterdir():
        file.chmod(0o644)
    folder, database = open_place.disk.folder, open_place.place.file
    before, files = county.every_row(open_place.place), open_place.there()
    open_place.place.database.close()
    folder.chmod({"folder": 0o555, "file": 0o777, "unreadable": 0o755}[shut])
    database.chmod({"folder": 0o666, "file": 0o444, "unreadable": 0o600}[shut])

    with small.nobody():
        told = open_place.run(login, *command)

    assert is_plain(told), told
    folder.chmod(0o755)
    database.chmod(0o644)
    assert county.every_row(open_place.place) == before
    assert open_place.there() == files
    assert open_place.run(login, *command).status == 0


TARGETS = [name for name, command in COMMANDS.items() if command.__name__ == "made"]


@pytest.mark.parametrize("name", TARGETS)
def test_a_place_for_a_file_that_cannot_be_written_is_told(
    office: Office, name: str, shut: Path
) -> None:
    login, command = COMMANDS[name](office)
    here = str(office.disk.folder)
    before, files = county.every_row(office.place), office.there()

    told = office.run(login, *(str(word).replace(here, str(shut)) for word in command))

    assert is_plain(told), told
    assert office.there() == files
    if name not in PIECEMEAL:
        assert county.every_row(office.place) == before


# A damaged page -----------------------------------------------------------------------------------


def test_a_damaged_page_is_never_a_bug_and_nothing_is_written_over_it(office: Office) -> None:
    login, command = _advance(office)
    office.place.database.close()
    whole, chance = office.place.file.read_bytes(), random.Random(20230930)
    size = 4096
    told = []
    for page in chance.sample(range(1, len(whole) // size), PAGES):
        damaged = bytearray(whole)
        damaged[page * size : (page + 1) * size] = chance.randbytes(size)
        office.place.file.write_bytes(damaged)

        told.append(office.run(login, *command))
        if told[-1].status != 0:
            assert office.place.file.read_bytes() == damaged
            assert "\u4e00" <= told[-1].message[0] <= "\u9fff"
        checked = office.run("zhang", "audit", "verify")
        assert checked.status in (0, 3, 6), checked

    assert {one.status for one in told} <= {0, 3, 6}, told
    assert any(one.status in (3, 6) for one in told)
    office.place.file.write_bytes(whole)
    assert office.run(login, *command).status == 0


# On a server --------------------------------------------------------------------------------------


@pytest.mark.server
def test_a_login_without_rights_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = county.fresh(tmp_path, shared=True)
    office = Office(place, Disk(tmp_path, mounted=False), capsys)
    before = county.every_row(place)
    name = f"nobody_{os.getpid()}"
    place.sql(f"CREATE ROLE {name} LOGIN")
    url = place.url.replace("postgres:@", f"{name}:@").replace("postgres@", f"{name}@")
    assert url != place.url

    told = office.run("wang", "record", "complaint", CODE, "-e", "what=不热", url=url)

    assert told.status in (3, 5), told
    assert "账号" in told.message
    assert county.every_row(place) == before
    place.database.close()
    server.drop(place.url)


@pytest.mark.server
def test_a_full_disk_of_a_server_is_told_and_undone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = county.fresh(tmp_path, shared=True)
    with psycopg.connect(server.plain(place.url)) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    owner = Path(str(row[0])).stat()
    folder = Path(tempfile.mkdtemp(prefix="xianli-space-"))
    folder.chmod(0o755)
    with small.disk(folder / "disk", 40 * 2**20) as found:
        if not found.mounted:
            pytest.skip("nobody may mount a disk here")
        os.chown(found.folder, owner.st_uid, owner.st_gid)
        office = Office(place, found, capsys)
        _move_to(place, found.folder)
        attach = tmp_path / "paper.pdf"
        attach.write_bytes(b"%PDF-1.4 " + random.Random(1).randbytes(2_000_000))
        pairs = county.pairs_of(county.confirm(CODE))
        given = [part for pair in pairs for part in ("-e", "=".join(pair))]
        command: list[str | Path] = ["advance", CODE, "confirm", *given, "--attach", attach]
        before = county.every_row(place)

        for level in LEVELS[:-2]:
            with found.leaving(level):
                told = office.run("wang", *command)
            assert is_plain(told), (level, told)
            assert county.every_row(place) == before
        assert office.run("wang", *command).status == 0
        place.database.close()
        server.drop(place.url)
    shutil.rmtree(folder)


def _move_to(place: County, folder: Path) -> None:
    """Moves a server's database to a disk."""
    name = f"small_{os.getpid()}"
    url = str(place.database.engine.url.database)
    place.database.close()
    with psycopg.connect(server.address(), autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}'".encode())
        connection.execute(f"ALTER DATABASE {url} SET TABLESPACE {name}".encode())
