"""The site in a real browser, opened from a folder: every kind of page, and the search by keys."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import county
import pytest
from browser import SIGHTS, Browser, Sight
from recount import wander

from workflow import site
from workflow.cases import Clocks

pytestmark = [pytest.mark.browser, pytest.mark.once]

DAY = date(2024, 3, 1)


@pytest.fixture(scope="module")
def pages(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A county that wandered a year, and one that has no household yet."""
    folder = tmp_path_factory.mktemp("sites")
    wild = county.fresh(tmp_path_factory.mktemp("wild"))
    wander(wild, 1)
    empty = county.empty_wutai(tmp_path_factory.mktemp("empty"))
    for place, name, units in (
        (wild, "county", None),
        (wild, "own", ["102"]),
        (empty, "empty", None),
    ):
        now = county.noon(date(2024, 6, 1))
        url = place.database.url
        site.build(url, folder / name, units, Clocks(DAY, past=True), now.date(), now)
    return {
        "index": folder / "county" / "index.html",
        "unit": folder / "county" / "101" / "index.html",
        "household": folder / "county" / "101" / f"{county.CODE}.html",
        "own": folder / "own" / "index.html",
        "empty": folder / "empty" / "index.html",
        "empty unit": folder / "empty" / "107" / "index.html",
    }


@pytest.mark.parametrize("sight", SIGHTS, ids=str)
@pytest.mark.parametrize("name", ["index", "unit", "household", "own", "empty", "empty unit"])
def test_the_pages_are_well_made(
    browser: Browser, pages: Mapping[str, Path], name: str, sight: Sight
) -> None:
    assert browser.faults(pages[name], sight) == []


def test_a_household_is_found_with_the_keyboard_alone(
    browser: Browser, pages: Mapping[str, Path]
) -> None:
    browser.open(pages["index"], SIGHTS[2])

    browser.type("\ue004")  # tabulator
    browser.type("101-000")
    assert browser.text("#told") == "0 个村，6 户"
    browser.type("\ue015\ue015\ue007")  # down, down, enter

    assert browser.address.endswith("/101/101-0002.html")
    assert browser.says() == []


def test_a_village_is_found_and_leads_to_its_households(
    browser: Browser, pages: Mapping[str, Path]
) -> None:
    browser.open(pages["index"], SIGHTS[0])

    browser.type("\ue004")
    browser.type("后村")
    assert browser.text("#found a") == "后村（乙乡，2 户）"
    browser.type("\ue007")

    assert browser.address.endswith("/102/index.html#v1")


def test_what_is_not_there_is_said_and_escape_begins_anew(
    browser: Browser, pages: Mapping[str, Path]
) -> None:
    browser.open(pages["unit"], SIGHTS[2])

    browser.type("\ue004\ue004")  # past the way back
    browser.type("102-0001")
    assert browser.text("#told").startswith("没有找到")
    browser.type("\ue00c")  # escape
    browser.type("101-0001")

    assert browser.text("#told") == "0 个村，1 户"


def test_the_results_are_well_made(browser: Browser, pages: Mapping[str, Path]) -> None:
    for sight in SIGHTS[:4]:
        browser.open(pages["index"], sight)
        browser.type("\ue004")
        browser.type("村")
        assert browser.seen(sight) == []


def test_without_its_script_the_lists_lead_everywhere(
    browser: Browser, pages: Mapping[str, Path]
) -> None:
    with browser.without_scripts():
        browser.open(pages["index"], SIGHTS[2])
        assert browser.text("#search") == ""
        browser.click('.unit-list a[href="101/index.html"]')
        browser.click(f'.homes a[href="../101/{county.CODE}.html"]')

        assert browser.address.endswith(f"/101/{county.CODE}.html")
