"""The site: whole or as before, its links lead somewhere, nobody's who may not see it."""

import html
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import county as made_up
import pytest
from county import CODE, CODES, OTHER_UNIT, TOWN, UNIT_NAME, VILLAGE, County, carry, fresh
from recount import wander

from states.errors import UsageFault
from states.vocabulary import FactKind, State, Trigger
from workflow import cases, dashboard, register, site
from workflow.cases import Clocks
from workflow.errors import BadFile, Conflict, JournalBroken, NotPermitted
from workflow.site import LOCK, MARKER, Built

HERE = Path(__file__).parent
LATER = date(2024, 4, 10)
EARLIER = date(2023, 8, 1)
UNITS = ["101", "102", "RLJ"]


@pytest.fixture(scope="module")
def wintered(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    made = fresh(tmp_path_factory.mktemp("wintered"))
    carry(made, [*TOWN[:3], OTHER_UNIT], State.STABLE_SEASON)
    made_up.winter(made, TOWN[:1])
    made.advance(CODE, Trigger.PERMIT, made_up.PERMITTED)
    return made


@pytest.fixture
def county(wintered: County, tmp_path: Path) -> Iterator[County]:
    made = made_up.copy(wintered, tmp_path)
    yield made
    made.close()


def build(
    county: County,
    out: Path,
    units: list[str] | None = None,
    *,
    day: date = LATER,
    force: bool = False,
    links: bool = site.LINKS,
) -> Built:
    return site.build(
        county.url,
        out,
        units,
        Clocks(day, past=True),
        date(2024, 6, 1),
        made_up.noon(date(2024, 6, 1)),
        force=force,
        links=links,
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its place."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def pages(folder: Path) -> dict[str, str]:
    return {name: made.decode() for name, made in contents(folder).items() if name[-5:] == ".html"}


def versions(out: Path) -> list[str]:
    beside = out.with_name(f".{out.name}.versions")
    return sorted(one.name for one in beside.iterdir() if one.name != LOCK)


class Anchors(HTMLParser):
    """The addresses of a page's links, and its marks."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.marks: set[str] = set()
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if mark := given.get("id"):
            self.marks.add(mark)
        if tag == "a" and (address := given.get("href")):
            self.links.append(address)
        for name in ("src", "srcset", "action", "data", "poster"):
            value = given.get(name)
            if value and not value.startswith("data:"):
                self.outside.append(f"{tag} {name}={value}")


def known(text: str) -> list[tuple[str, str, list[tuple[str, list[tuple[str, str]]]]]]:
    """What a page's search knows."""
    found = re.search(r'<script type="application/json" id="known">(.*?)</script>', text, re.S)
    assert found is not None
    document: list[tuple[str, str, list[tuple[str, list[tuple[str, str]]]]]] = json.loads(found[1])
    return document


def searched(text: str) -> Iterator[str]:
    """Every address that the search of a page can lead to."""
    for _, page, villages in known(text):
        for place, (_, homes) in enumerate(villages, start=1):
            yield f"{page}#v{place}"
            yield from (address for _, address in homes)


def test_county_units_and_households_have_a_page_each(county: County, tmp_path: Path) -> None:
    built = build(county, tmp_path / "web")

    expected = {"index.html", *(f"{unit}/index.html" for unit in UNITS)}
    expected |= {f"{code.partition('-')[0]}/{code}.html" for code in CODES}
    assert set(pages(tmp_path / "web")) == expected
    assert (built.pages, built.households, built.replaced) == (len(expected), len(CODES), False)
    assert built.passed_over == []


@pytest.mark.parametrize("units", [None, ["101"], ["101", "102"]], ids=str)
def test_every_link_leads_to_a_page_of_the_site(
    county: County, tmp_path: Path, units: list[str] | None
) -> None:
    out = tmp_path / "web"
    build(county, out, units)
    found = pages(out)
    marks = {name: Anchors(text).marks for name, text in found.items()}
    reached = {"index.html"}

    for name, text in found.items():
        links = Anchors(text).links + (list(searched(text)) if "known" in marks[name] else [])
        for link in links:
            parts = urlsplit(link)
            assert (parts.scheme, parts.netloc) == ("", ""), link
            path = os.path.normpath(Path(name).parent / unquote(parts.path)) if parts.path else name
            assert path in found, f"{name}: {link}"
            if parts.fragment:
                assert parts.fragment in marks[path], f"{name}: {link}"
            reached.add(path)
    assert reached == set(found)


def test_a_page_asks_nobody_for_anything(county: County, tmp_path: Path) -> None:
    build(county, tmp_path / "web")

    for name, text in pages(tmp_path / "web").items():
        assert Anchors(text).outside == [], name
        assert "fetch(" not in text
        assert "XMLHttpRequest" not in text
        assert "noindex" in text
        assert "default-src 'none'" in text
        assert re.search(r"url\((?!#)", text) is None, name


def test_a_unit_s_list_says_what_the_program_lists(county: County, tmp_path: Path) -> None:
    day = date(2023, 9, 26)
    build(county, tmp_path / "web", day=day)
    with county.database.reading() as connection:
        plan = register.plan_in_force(connection)
        listed = cases.positions(connection, plan, Clocks(day, past=True))

    for unit in UNITS:
        text = (tmp_path / "web" / unit / "index.html").read_text(encoding="utf-8")
        rows = dict(re.findall(r'<tr><td class="code"><a [^>]*>([^<]*)</a></td>(.*?)</tr>', text))
        mine = [one for one in listed if one.unit == unit]
        assert list(rows) == [one.code for one in mine]
        for one in mine:
            row = rows[one.code]
            assert f">{one.state.label}</td>" in row
            assert f">{one.state_since}</td>" in row
            assert (str(one.due_on) in row) if one.due_on else (">—</td>" in row)
            assert ("逾期" in re.sub(r"<td[^>]*data-name[^>]*>", "", row)) is one.overdue
            assert ("有风险" in row) is (one.at_risk and not one.overdue)
    assert any(one.overdue or one.at_risk for one in listed)


@pytest.mark.parametrize("seed", range(3))
def test_the_units_add_up_to_the_county_and_to_the_journal(tmp_path: Path, seed: int) -> None:
    place = fresh(tmp_path)
    wander(place, seed)
    for day in (date(2023, 8, 15), date(2024, 3, 1)):
        clocks = Clocks(day, past=True)
        out = tmp_path / f"web-{day}"
        build(place, out, day=day)
        folded = made_up.folded(place, clocks)
        with place.database.reading() as connection:
            plan = register.plan_in_force(connection)
            today, now = date(2024, 6, 1), made_up.noon(date(2024, 6, 1))
            whole = dashboard.draw(connection, plan, clocks, today, now)
            units = [dashboard.draw(connection, plan, clocks, today, now, [u]) for u in UNITS]

        boards = [one.board for one in units]
        for figure in ("task", "cases", "done", "permitted", "overdue", "at_risk"):
            total = sum(getattr(board.total, figure) for board in boards)
            assert total == getattr(whole.board.total, figure), figure
        stock: Counter[State] = Counter()
        for board in boards:
            stock.update(board.flow.stock)
        assert stock == Counter(whole.board.flow.stock) == Counter(one.state for one in folded)
        for unit in UNITS:
            text = (out / unit / "index.html").read_text(encoding="utf-8")
            mine = [one for one in folded if one.unit == unit]
            listed = re.findall(r'<tr><td class="code">.*?</tr>', text)
            assert len(listed) == len(mine)
            for state in State:
                here = sum(f">{state.label}</td>" in row for row in listed)
                assert here == sum(one.state is state for one in mine)
            late = sum('<b class="red">逾期</b>' in row for row in listed)
            assert late == sum(one.overdue for one in mine)
    place.database.close()


def test_a_unit_s_site_holds_nothing_of_another(county: County, tmp_path: Path) -> None:
    county.advance(OTHER_UNIT, FactKind.COMPLAINT, LATER, ("what", "不暖和"))

    for unit in UNITS:
        build(county, tmp_path / unit, [unit])
        foreign = [code for code in CODES if not code.startswith(unit)]
        foreign += [name for code, name in UNIT_NAME.items() if code != unit]
        foreign += [name for code, name in VILLAGE.items() if code != unit]
        for name, made in contents(tmp_path / unit).items():
            text = html.unescape(made.decode())
            assert not [one for one in foreign if one in text or one in name], name


def test_a_broken_journal_names_no_household_of_another_unit(
    county: County, tmp_path: Path
) -> None:
    county.tamper(
        "UPDATE journal SET hash = 'z' || substr(hash, 2) WHERE stream = ? AND seq = "
        "(SELECT min(seq) FROM journal WHERE stream = ?)",
        f"case:{OTHER_UNIT}",
        f"case:{OTHER_UNIT}",
    )

    build(county, tmp_path / "web", ["101"])

    text = "".join(pages(tmp_path / "web").values())
    assert "本页数字不可采信" in text
    assert OTHER_UNIT not in text


def test_nothing_of_a_person_stands_there_unmasked(county: County, tmp_path: Path) -> None:
    build(county, tmp_path / "web")
    with county.database.reading() as connection:
        personal = cases.personal(connection)
    text = "".join(html.unescape(one) for one in pages(tmp_path / "web").values())

    for one in personal.values():
        for secret in (one.id_number, one.phone, one.meter, one.address):
            assert not secret or secret not in text
    assert personal[CODE].masked().name in text


def test_a_site_of_our_own_is_replaced_whole(county: County, tmp_path: Path) -> None:
    out = tmp_path / "web"
    build(county, out, day=EARLIER)
    before = contents(out)

    built = build(county, out)

    assert built.replaced
    assert contents(out).keys() == before.keys()
    assert contents(out)["index.html"] != before["index.html"]
    assert len(versions(out)) == site.LINKS


def test_the_same_again_is_the_same(county: County, tmp_path: Path) -> None:
    build(county, tmp_path / "a")
    build(county, tmp_path / "b", links=False)

    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_site_of_other_units_is_replaced_only_when_forced(county: County, tmp_path: Path) -> None:
    out = tmp_path / "web"
    build(county, out, ["101"])
    before = contents(out)

    with pytest.raises(UsageFault, match="另一范围"):
        build(county, out)

    assert contents(out) == before
    assert build(county, out, force=True).replaced


def test_an_empty_folder_is_taken(county: County, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()

    build(county, tmp_path / "web")

    assert (tmp_path / "web" / MARKER).exists()


@pytest.mark.parametrize("what", ["folder", "file", "link", "marker", "dangling", "versions"])
def test_what_is_not_ours_is_never_replaced(county: County, tmp_path: Path, what: str) -> None:
    out = tmp_path / "here" / "web"
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "letter.txt").write_text("mine")
    out.parent.mkdir()
    match what:
        case "folder":
            theirs.rename(out)
        case "file":
            out.write_text("mine")
        case "link":
            out.symlink_to(theirs)
        case "marker":
            theirs.rename(out)
            (out / MARKER).write_text("[]")
        case "dangling":
            out.symlink_to(tmp_path / "nowhere")
        case "versions":
            theirs.rename(out.with_name(".web.versions"))
    before = contents(tmp_path)
    links = {str(one): os.readlink(one) for one in tmp_path.rglob("*") if one.is_symlink()}

    for force in (False, True):
        with pytest.raises(UsageFault, match=r"不是先立|文件|别处"):
            build(county, out, force=force)

    assert {name: one for name, one in contents(tmp_path).items() if "county.db" not in name} == {
        name: one for name, one in before.items() if "county.db" not in name
    }
    assert {str(one): os.readlink(one) for one in tmp_path.rglob("*") if one.is_symlink()} == links


def test_where_nothing_can_be_written_is_said(county: County, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadFile, match="写不了"):
        build(county, tmp_path / "file" / "web")


def test_a_read_only_parent_is_said(county: County, shut: Path) -> None:
    with pytest.raises(BadFile, match="写不了"):
        build(county, shut / "web")


def test_the_root_is_refused(county: County) -> None:
    with pytest.raises(UsageFault, match="根目录"):
        build(county, Path("/"))


def test_no_units_are_refused(county: County, tmp_path: Path) -> None:
    with pytest.raises(NotPermitted):
        build(county, tmp_path / "web", [])

    assert not (tmp_path / "web").exists()


def test_a_failed_run_leaves_the_site_as_it_was(
    county: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "web"
    build(county, out, day=EARLIER)
    before, kept = contents(out), versions(out)

    def full(path: Path, text: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(site, "_put", full)
    with pytest.raises(BadFile, match="No space left"):
        build(county, out)

    assert contents(out) == before
    assert versions(out) == kept


def test_a_run_that_fails_after_one_that_died_puts_the_old_site_back(
    county: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "web"
    build(county, out, links=False)
    before = contents(out)
    out.rename(tmp_path / ".web.versions" / "old")  # where a run died between two renames

    def full(path: Path, text: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(site, "_put", full)
    with pytest.raises(BadFile):
        build(county, out, links=False)

    assert contents(out) == before


def test_a_new_folder_that_does_not_get_its_place_gives_it_back(
    county: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "web"
    build(county, out, links=False)
    before = contents(out)
    rename = Path.rename

    def held_open(self: Path, target: Path) -> Path:
        if target == out and self.name != "old":
            raise PermissionError(13, "in use")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", held_open)
    with pytest.raises(BadFile, match="in use"):
        build(county, out, links=False)

    assert contents(out) == before
    assert versions(out) == []


def row(out: Path, code: str) -> str:
    """A household's line in its unit's list."""
    text = (out / code[:3] / "index.html").read_text(encoding="utf-8")
    [found] = re.findall(rf'<tr><td class="code"><a [^>]*>{code}</a>.*?</tr>', text)
    return str(found)


def test_the_next_step_says_what_is_lacking(county: County, tmp_path: Path) -> None:
    county.advance(TOWN[4], Trigger.CLOSE, LATER, *made_up.CLOSING)
    build(county, tmp_path / "web")

    assert "可自愿拆除，不是义务" in row(tmp_path / "web", CODE)
    assert "允许拆除：缺首次供热日期" in row(tmp_path / "web", TOWN[1])
    assert "确户完成：缺" in row(tmp_path / "web", TOWN[3])
    assert '<td class="next">—</td>' in row(tmp_path / "web", TOWN[4])


def test_a_suspended_permission_is_no_leave_to_remove(county: County, tmp_path: Path) -> None:
    county.advance(CODE, FactKind.COMPLAINT, LATER, ("what", "不暖和"))

    build(county, tmp_path / "web")

    assert "许可中止，不得拆除" in row(tmp_path / "web", CODE)
    assert "可自愿拆除" not in row(tmp_path / "web", CODE)


def test_two_runs_do_not_build_at_once(county: County, tmp_path: Path) -> None:
    out = tmp_path / "web"
    build(county, out)
    place = site._Place(out, None, links=True)

    with place.alone(), pytest.raises(Conflict, match="正在重建"):
        build(county, out)


@pytest.mark.parametrize(
    "village",
    ["../../etc", "<script>alert(1)</script>", '"><img src=x onerror=1>', "a'b&c", "</script>", ""],
)
def test_a_village_s_name_is_only_text(county: County, tmp_path: Path, village: str) -> None:
    county.tamper("UPDATE household_case SET village = ? WHERE code = ?", village, CODE)
    out = tmp_path / "web"
    before = set(tmp_path.rglob("*"))

    build(county, out)

    made = {str(one.relative_to(out)) for one in out.rglob("*")}
    assert all(
        re.fullmatch(r"[0-9A-Z]+(/[0-9A-Z-]+\.html|/index\.html)?|index\.html|\.xianli.*", m)
        for m in made
    ), made
    assert {one for one in set(tmp_path.rglob("*")) - before if "web" not in str(one)} <= {
        tmp_path / f"county.db{end}" for end in ("-wal", "-shm")
    }
    for text in pages(out).values():
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        scripts = re.findall(r"<script[^>]*>", text)
        assert scripts in ([], ['<script type="application/json" id="known">', "<script>"])
    villages = [name for name, _ in known((out / "index.html").read_text())[0][2]]
    assert (village or "（未填村名）") in villages


def test_a_code_that_is_no_file_s_name_stops_the_site(county: County, tmp_path: Path) -> None:
    county.tamper("UPDATE household_case SET code = '../../x' WHERE code = ?", CODE)

    with pytest.raises(JournalBroken, match="文件名"):
        build(county, tmp_path / "web")

    assert not (tmp_path / "web").exists()
    assert not list(tmp_path.rglob("x.html"))


def test_what_is_recorded_while_the_pages_are_made_is_on_none_of_them(
    county: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "web"
    read = dashboard.read

    def reading(*arguments: object) -> dashboard.County:
        county.advance(OTHER_UNIT, FactKind.COMPLAINT, LATER, ("what", "不暖和"))
        return read(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(dashboard, "read", reading)
    build(county, out)

    seqs = re.findall(r"数字由日志第 1 至 (\d+) 条", "".join(pages(out).values()))
    [seq] = set(seqs)
    assert int(seq) < int(str(county.sql("SELECT max(seq) FROM journal")[0][0]))
    assert "不暖和" not in (out / "102" / f"{OTHER_UNIT}.html").read_text(encoding="utf-8")


# Dies at the file system call of a number, at each of them in turn; what it leaves is told.
KILLED = f"""
import json, os, shutil, signal, sys
from datetime import date
from pathlib import Path
sys.path[:0] = [{str(HERE.parent)!r}, {str(HERE)!r}]
import county
from workflow import site
from workflow.cases import Clocks
folder, links, url = Path(sys.argv[1]), sys.argv[2] == "links", sys.argv[3]
counted, point, watching = 0, 0, False
CALLS = ("os.mkdir", "os.rename", "os.symlink", "os.rmdir", "os.remove", "os.chmod")

def dying(event, arguments):
    global counted
    if not watching or event != "open" and event not in CALLS:
        return
    if event == "open" and not (isinstance(arguments[1], str) and "w" in arguments[1]):
        return
    counted += 1
    if counted == point:
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(dying)

def build(out, day):
    global watching
    watching = True
    site.build(url, out, ["102"], Clocks(day, past=True), date(2024, 6, 1),
               county.noon(date(2024, 6, 1)), links=links)
    watching = False

def contents(out):
    if not out.exists():
        return None
    return {{str(one.relative_to(out)): hash(one.read_bytes())
             for one in sorted(out.rglob("*")) if one.is_file()}}

def in_a_process(out, day):
    child = os.fork()
    if child == 0:
        try:
            build(out, day)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

old_day, new_day = date(2023, 8, 1), date(2024, 4, 10)
out = folder / "web"
in_a_process(out, old_day)
old = contents(out)
other = folder / "other"
in_a_process(other, new_day)
new = contents(other)
assert old and new and old != new
point = 1
while True:
    died = in_a_process(out, new_day)
    found, at = contents(out), point
    point = 0
    ended = in_a_process(out, new_day) if died else 0
    beside = sorted(one.name for one in (folder / ".web.versions").iterdir())
    print(json.dumps({{"point": at, "died": died, "gap": found is None,
                       "whole": found in (old, new), "ended": ended,
                       "right": contents(out) == new, "left": len(beside)}}), flush=True)
    if not died:
        break
    in_a_process(out, old_day)
    assert contents(out) == old
    point = at + 1
"""


@pytest.mark.crash
@pytest.mark.once
@pytest.mark.skipif(os.name != "posix", reason="kills and forks")
@pytest.mark.parametrize("way", ["links", "folders"])
def test_killed_at_any_point_the_old_site_or_the_new_is_whole(
    county: County, tmp_path: Path, way: str
) -> None:
    county.database.close()

    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), way, county.url],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) > 10
    for one in told[:-1]:
        assert one["died"] == -9
        # A folder that is renamed is gone for a moment; a link never is.
        assert one["whole"] or (one["gap"] and way == "folders"), one
        assert one["ended"] == 0
        assert one["right"]
        assert one["left"] == (2 if way == "links" else 1)
    assert sum(one["gap"] for one in told) <= 1
