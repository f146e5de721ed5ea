"""The self-evaluation and the drawing of the lifecycle in a real browser."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import county
import pytest
from browser import SIGHTS, Browser, Sight
from county import County
from recount import wander

from notifications import diagram
from notifications.diagram import Live
from states import lifecycle
from states.vocabulary import State
from workflow import dashboard, evaluation, register
from workflow.cases import Clocks

pytestmark = [pytest.mark.browser, pytest.mark.once]

NOW = datetime(2024, 6, 1, 4, tzinfo=UTC)


def written(place: County, day: date, file: Path, units: list[str] | None = None) -> Path:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        clocks = Clocks(day, past=True)
        found = evaluation.evaluate(connection, plan, "2023-2024", clocks, NOW, units)
    evaluation.write(file, found)
    return file


def framed(drawing: str, file: Path) -> Path:
    """The drawing within a page, as who embeds it would."""
    file.write_text(
        '<!DOCTYPE html><html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta name="color-scheme" content="light dark"><title>图</title>'
        f"<style>body{{margin:0}}</style></head><body>{drawing}</body></html>",
        encoding="utf-8",
    )
    return file


def busy() -> Live:
    """Every way taken so often that its words are as long as they can be in this county."""
    return Live(
        as_of=date(2023, 10, 5),
        drill=True,
        registered=13_966,
        stock=dict.fromkeys(State, 13_966),
        edges={
            (step.trigger, source, target): 13_966
            for step in lifecycle.STEPS
            for source, target in step.moves.items()
        },
        overdue=dict.fromkeys(list(State)[:4], 13_966),
    )


@pytest.fixture(scope="module")
def pages(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    empty = county.empty_wutai(tmp_path_factory.mktemp("empty"))
    wild = county.fresh(tmp_path_factory.mktemp("wild"))
    wander(wild, 1, days=340)
    with wild.database.reading() as connection:
        plan = register.plan_in_force(connection)
        live = dashboard.live(connection, plan, Clocks(date(2024, 3, 1), past=True))
    return {
        "empty": written(empty, date(2023, 6, 1), folder / "empty.html"),
        "season": written(wild, date(2024, 1, 22), folder / "season.html"),
        "after": written(wild, date(2024, 4, 20), folder / "after.html"),
        "unit": written(wild, date(2024, 4, 20), folder / "unit.html", ["102"]),
        "lifecycle": framed(diagram.svg(), folder / "lifecycle.html"),
        "live": framed(diagram.svg(live), folder / "live.html"),
        "busy": framed(diagram.svg(busy()), folder / "busy.html"),
    }


@pytest.mark.parametrize("sight", SIGHTS, ids=str)
@pytest.mark.parametrize("name", ["empty", "season", "after", "unit"])
def test_the_report_is_well_made(
    browser: Browser, pages: Mapping[str, Path], name: str, sight: Sight
) -> None:
    assert browser.faults(pages[name], sight) == []


# A drawing of six states in a row is for a desk; on a phone it is scrolled, on paper laid across.
WIDE = [sight for sight in SIGHTS if sight.width > 1000]


@pytest.mark.parametrize("sight", WIDE, ids=str)
@pytest.mark.parametrize("name", ["lifecycle", "live", "busy"])
def test_no_word_of_the_drawing_is_cut_or_lies_on_another(
    browser: Browser, pages: Mapping[str, Path], name: str, sight: Sight
) -> None:
    assert browser.faults(pages[name], sight) == []
