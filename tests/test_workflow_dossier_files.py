"""Dossiers in files: complete or not there, taken up again, nobody's who may not see them."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import county as made_up
import pytest
import server
from county import CODE, CODES, TOWN, County, carry, fresh, noon

import cli
from states.errors import UsageFault
from states.vocabulary import FactKind, State
from workflow import checkpoint, dossier_files
from workflow.cases import Clocks
from workflow.dossier_files import INDEX, REGISTER, Job, Line, Shelf
from workflow.errors import BadFile, Conflict, JournalBroken
from workflow.operation import Limits

LATER = date(2024, 4, 10)
ROOT = Path(__file__).parent.parent


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    made = fresh(tmp_path)
    carry(made, TOWN[:1], State.REMOVAL_PERMITTED)
    yield made
    made.database.close()


def run(
    county: County,
    folder: Path,
    units: list[str] | None = None,
    forms: tuple[str, ...] = ("html",),
    *,
    force: bool = False,
    day: date = LATER,
) -> Shelf:
    return dossier_files.many(
        county.url,
        folder,
        units,
        forms,
        Clocks(day, past=True),
        force=force,
        progress=lambda done, total: None,
    )


def contents(folder: Path) -> dict[str, str]:
    """Every file by its place, by the hash of its bytes."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_every_household_has_its_file_and_its_line_in_the_index(
    county: County, tmp_path: Path
) -> None:
    folder = tmp_path / "out"

    shelf = run(county, folder)

    assert (shelf.households, shelf.made, shelf.kept) == (10, 10, 0)
    index = (folder / INDEX).read_text(encoding="utf-8")
    for code in CODES:
        place = f"{code.rpartition('-')[0]}/{code}.html"
        assert (folder / place).read_text(encoding="utf-8").rstrip().endswith("</html>")
        assert f'href="{place}"' in index


def test_a_second_run_makes_nothing_again(county: County, tmp_path: Path) -> None:
    run(county, tmp_path / "out")
    before = contents(tmp_path / "out")

    shelf = run(county, tmp_path / "out")

    assert (shelf.made, shelf.kept) == (0, 10)
    assert contents(tmp_path / "out") == before


def test_only_what_changed_is_lost_or_was_damaged_is_made_again(
    county: County, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    run(county, folder)
    before = contents(folder)
    (folder / "101" / f"{TOWN[1]}.html").unlink()
    (folder / "101" / f"{TOWN[2]}.html").write_text("half a pa")
    county.advance(TOWN[3], FactKind.COMPLAINT, LATER, ("what", "不暖和"))

    shelf = run(county, folder)

    assert shelf.made == 3
    after = contents(folder)
    changed = {name for name in before if before[name] != after[name]}
    # The index says up to which event it was made.
    assert changed == {f"101/{TOWN[3]}.html", REGISTER, INDEX}


def test_another_day_is_another_page(county: County, tmp_path: Path) -> None:
    run(county, tmp_path / "out")

    assert run(county, tmp_path / "out", day=date(2024, 4, 9)).made == 10


def test_a_household_of_a_later_day_is_passed_over_and_named(
    county: County, tmp_path: Path
) -> None:
    shelf = run(county, tmp_path / "out", day=date(2023, 5, 1))

    assert (shelf.households, shelf.passed_over) == (0, CODES)


def test_several_processes_write_what_one_writes(
    county: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(county, tmp_path / "one")
    monkeypatch.setattr(dossier_files, "_FEW", 1)

    shelf = run(county, tmp_path / "two")

    assert shelf.made == 10
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


@pytest.mark.server
def test_each_process_waits_for_a_server_as_long_as_it_is_told(
    county: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dossier_files, "_FEW", 1)
    clocks, limits = Clocks(LATER, past=True), Limits(lock_seconds=1)
    job = Job(county.url, tmp_path, clocks, ("html",), tuple(CODES), {}, limits=limits)

    with server.raw(county.url) as other:
        other.execute("LOCK TABLE household_case")
        with pytest.raises(Conflict, match="等了 1 秒"):
            list(dossier_files.work(job))


@pytest.mark.server
@pytest.mark.parametrize(
    "command",
    [
        ("report", "dossier", "--all", "out"),
        ("report", "site", "out"),
        ("scheduler", "run", "--once"),
    ],
    ids=" ".join,
)
def test_what_the_configuration_says_of_a_server_is_handed_to_the_processes(
    county: County, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    told = "[postgresql]\npool = 3\nstatement_seconds = 99\n[site]\nfolder = 'web'\n"
    Path("xianli.toml").write_text(told, encoding="utf-8")
    handed: list[Limits | None] = []

    def work(job: Job, processes: int) -> Iterator[tuple[Line, bool]]:
        handed.append(job.limits)
        return iter(())

    monkeypatch.setattr(dossier_files, "work", work)
    cli.run(["--db", county.url, "--today", str(LATER), *command])

    assert handed == [Limits(pool=3, statement_seconds=99)]


def test_a_folder_that_holds_something_else_is_left_alone(county: County, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "报告.txt").write_text("mine")

    with pytest.raises(UsageFault, match="已有别的东西"):
        run(county, tmp_path / "out")

    assert [file.name for file in (tmp_path / "out").iterdir()] == ["报告.txt"]
    assert run(county, tmp_path / "out", force=True).made == 10


def test_one_units_files_never_come_among_the_countys(county: County, tmp_path: Path) -> None:
    run(county, tmp_path / "out")

    with pytest.raises(UsageFault, match="别的范围"):
        run(county, tmp_path / "out", ["101"])


def test_a_folder_that_cannot_be_written_is_a_plain_error(county: County, shut: Path) -> None:
    with pytest.raises(BadFile, match="写不了"):
        run(county, shut / "out")


@pytest.mark.parametrize("several", [False, True])
def test_a_full_disk_is_a_plain_error_and_leaves_nothing_half_written(
    county: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, several: bool
) -> None:
    folder = tmp_path / "out"
    run(county, folder)
    # A folder stands where a file belongs: no writing there, in whatever process.
    (folder / "102" / "102-0001.html").unlink()
    (folder / "102" / "102-0001.html").mkdir()
    if several:
        monkeypatch.setattr(dossier_files, "_FEW", 1)

    with pytest.raises(BadFile, match="写不了"):
        run(county, folder)

    assert list(folder.rglob("*.part")) == []


@pytest.mark.parametrize(
    "code", ["100-/../../../pwn/evil", "100-<b>", "101-0001\n", "..", "101-一"]
)
def test_a_code_that_is_no_file_s_name_stops_all_of_them(
    county: County, tmp_path: Path, code: str
) -> None:
    county.tamper("UPDATE household_case SET code = ? WHERE code = ?", code, CODE)
    before = set(tmp_path.rglob("*"))

    with pytest.raises(JournalBroken, match="文件名"):
        run(county, tmp_path / "a" / "out")

    assert set(tmp_path.rglob("*")) - before == set()


def test_a_line_cut_in_the_register_costs_one_file(county: County, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(county, folder)
    before = contents(folder)
    book = folder / REGISTER
    book.write_bytes(book.read_bytes()[:-30])

    assert run(county, folder).made == 1
    assert contents(folder) == before


def test_word_and_pdf_stand_beside_the_page_and_are_the_same_bytes_again(
    county: County, tmp_path: Path
) -> None:
    pytest.importorskip("typst")
    forms = ("html", "docx", "pdf")
    with_units = ["RLJ"]

    run(county, tmp_path / "one", with_units, forms)
    run(county, tmp_path / "two", with_units, forms)

    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    made = {file.suffix for file in (tmp_path / "one" / "RLJ").iterdir()}
    assert made == {".html", ".docx", ".pdf"}


def test_a_page_shows_the_proof_that_it_has(county: County, tmp_path: Path) -> None:
    checkpoint.make(county.database, noon(LATER))

    run(county, tmp_path / "out")

    page = (tmp_path / "out" / "101" / f"{CODE}.html").read_text(encoding="utf-8")
    assert "证明等级：仅凭时钟" in page


WRITE = """
import sys
from datetime import date
from pathlib import Path
sys.path[:0] = [{root!r}]
if __name__ == "__main__":
    from workflow import dossier_files
    from workflow.cases import Clocks
    dossier_files._FEW, dossier_files._TOLD = 1, 1
    dossier_files.many(
        sys.argv[1], Path(sys.argv[2]), None, ("html",), Clocks(date(2024, 4, 10), past=True),
        force=False, progress=lambda done, total: print(done, flush=True),
    )
"""


@pytest.mark.crash
@pytest.mark.parametrize("after", [1, 4, 9])
def test_killed_in_the_middle_every_file_is_complete_and_the_rest_follows(
    county: County, tmp_path: Path, after: int
) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "out"
    run(county, whole)
    script = tmp_path / "write.py"
    script.write_text(WRITE.format(root=str(ROOT)), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script), county.url, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while int(process.stdout.readline() or "99") < after:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    # The processes that it started find nobody to tell and end by themselves.
    for _ in range(200):
        files = [file for file in folder.rglob("*.html") if file.name != INDEX]
        if not list(folder.rglob("*.part")):
            break
        time.sleep(0.05)
    for file in files:
        assert file.read_bytes() == (whole / file.relative_to(folder)).read_bytes()

    run(county, folder)

    assert contents(folder) == contents(whole)


def test_the_register_says_what_every_file_is(county: County, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(county, folder, ["101"])

    heading, *lines = (folder / REGISTER).read_text(encoding="utf-8").splitlines()

    assert json.loads(heading) == {"xianli": "dossier", "units": ["101"]}
    for line in lines:
        code, form, _, sha256, size, _ = json.loads(line)
        content = (folder / "101" / f"{code}.{form}").read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (sha256, size)
    assert made_up.CODE in {json.loads(line)[0] for line in lines}
