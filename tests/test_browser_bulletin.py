"""The bulletin's page in a real browser: on a phone, a desk and paper, by day and by night."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import county
import pytest
from browser import SIGHTS, Browser, Sight
from county import County
from msgspec.structs import replace
from recount import wander

from states.vocabulary import State
from workflow import bulletin_files
from workflow.bulletin import Period
from workflow.bulletin_files import Wanted
from workflow.cases import Clocks

pytestmark = [pytest.mark.browser, pytest.mark.once]

WEEK = Wanted(Period.WEEK, Clocks(date(2023, 9, 15), past=True), None, True, ("html",))


def page(place: County, folder: Path, wanted: Wanted) -> Path:
    return bulletin_files.write(place.database, folder, wanted, force=False).files[0]


@pytest.fixture(scope="module")
def pages(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A county before its first case, one that wandered, one over its task, one unit, published."""
    folder = tmp_path_factory.mktemp("pages")
    empty = county.empty_wutai(tmp_path_factory.mktemp("empty"))
    wild = county.fresh(tmp_path_factory.mktemp("wild"))
    wander(wild, 1)
    straight = county.fresh(tmp_path_factory.mktemp("straight"))
    county.carry(straight, county.CODES, State.STABLE_SEASON)
    october = replace(WEEK, clocks=Clocks(date(2023, 10, 9), past=True), period=Period.MONTH)
    day = date(2024, 3, 20)
    published = bulletin_files.publish(
        wild.database,
        folder / "published",
        replace(WEEK, clocks=Clocks(date(2023, 11, 20), past=True)),
        login="li",
        now=county.noon(day),
        force=False,
    )
    return {
        "empty": page(empty, folder / "empty", WEEK),
        "wild": page(wild, folder / "wild", october),
        "straight": page(straight, folder / "straight", october),
        "unit": page(wild, folder / "unit", replace(WEEK, units=["101"])),
        "unranked": page(wild, folder / "unranked", replace(WEEK, ranking=False)),
        "published": published.files[0],
    }


@pytest.mark.parametrize("sight", SIGHTS, ids=str)
@pytest.mark.parametrize("name", ["empty", "wild", "straight", "unit", "unranked", "published"])
def test_the_bulletin_is_well_made(
    browser: Browser, pages: Mapping[str, Path], name: str, sight: Sight
) -> None:
    assert browser.faults(pages[name], sight) == []
