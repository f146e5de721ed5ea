"""The dashboard in a real browser: on a phone, a desk and paper, by day and by night."""

import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import county
import pytest
from browser import SIGHTS, Browser, Sight
from county import County
from recount import wander

from states.vocabulary import FactKind, State, Trigger
from workflow import dashboard, register
from workflow.cases import Clocks

pytestmark = [pytest.mark.browser, pytest.mark.once]

NOW = datetime(2024, 6, 1, 4, tzinfo=UTC)


def draw(place: County, day: date, file: Path, units: list[str] | None = None) -> Path:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        clocks = Clocks(day, past=True)
        found = dashboard.draw(connection, plan, clocks, date(2024, 6, 1), NOW, units)
    dashboard.write(file, found)
    return file


@pytest.fixture(scope="module")
def pages(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A county before its first case, one that wandered, one in its worst hour, and one unit."""
    folder = tmp_path_factory.mktemp("pages")
    empty = county.empty_wutai(tmp_path_factory.mktemp("empty"))
    wild = county.fresh(tmp_path_factory.mktemp("wild"))
    wander(wild, 1)
    grave = county.fresh(tmp_path_factory.mktemp("grave"))
    county.carry(grave, county.TOWN[:2], State.STABLE_SEASON)
    day = date(2024, 1, 15)
    removed = (("facility", "kang"), ("status", "removed"), ("by", "unknown"))
    grave.advance(county.CODE, FactKind.OLD_FACILITY, day, *removed)
    grave.advance(county.CODE, FactKind.FAULT, day, ("what", "停热"))
    grave.advance(county.TOWN[1], FactKind.COMPLAINT, day, ("what", "不热"))
    closing = [*county.CLOSING]
    grave.advance(county.TOWN[2], Trigger.CLOSE, day, *closing)
    return {
        "empty": draw(empty, date(2023, 6, 1), folder / "empty.html"),
        "early": draw(wild, date(2023, 7, 20), folder / "early.html"),
        "wild": draw(wild, date(2024, 3, 1), folder / "wild.html"),
        "grave": draw(grave, date(2024, 1, 22), folder / "grave.html"),
        "unit": draw(wild, date(2023, 9, 29), folder / "unit.html", ["101"]),
    }


@pytest.mark.parametrize("sight", SIGHTS, ids=str)
@pytest.mark.parametrize("name", ["empty", "early", "wild", "grave", "unit"])
def test_the_dashboard_is_well_made(
    browser: Browser, pages: Mapping[str, Path], name: str, sight: Sight
) -> None:
    assert browser.faults(pages[name], sight) == []


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext here (poppler-utils)")
def test_the_alarm_is_the_first_thing_on_paper(
    browser: Browser, pages: Mapping[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "grave.pdf"
    printed = browser.printed(pages["grave"])
    file.write_bytes(printed.pdf)

    done = subprocess.run(
        ["pdftotext", "-l", "1", file, "-"], capture_output=True, check=True, text=True
    )

    first = done.stdout.replace("\n", "")
    assert "新旧取暖都没有" in first
    assert first.index("新旧取暖都没有") < first.index("进度：任务")
    assert printed.pages <= 5
