"""A seeded sample of `soak.py`: officers at the same moment, and operations that are killed."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import server
import soak
from county import County
from soak import OFFICERS, OPERATIONS, SEED

CASES = int(os.environ.get("XIANLI_SOAK_CASES", "40"))
KILLS = int(os.environ.get("XIANLI_SOAK_KILLS", "2"))
ON = [pytest.param(False, id="file"), pytest.param(True, id="server", marks=pytest.mark.server)]
pytestmark = pytest.mark.crash


@pytest.fixture
def place(tmp_path: Path, shared: bool) -> Iterator[County]:
    place = soak.populated(tmp_path, CASES, shared=shared)
    yield place
    place.database.close()
    if shared:
        server.drop(place.url)


@pytest.mark.parametrize("shared", ON)
def test_eight_officers_take_each_step_once_and_the_losers_are_told_who_won(place: County) -> None:
    found = soak.race(place, CASES, random.Random(SEED))

    assert soak.judged(place, found, CASES) == {}
    assert len(found.told) == OFFICERS * CASES
    assert found.statuses()["0"] == CASES
    assert found.in_vain == 0


@pytest.mark.parametrize("shared", ON)
def test_half_of_them_killed_leave_what_they_were_told_and_nothing_half_done(
    place: County,
) -> None:
    found = soak.race(place, CASES, random.Random(SEED), kill=OFFICERS // 2)

    assert soak.judged(place, found, CASES) == {}
    assert found.killed == OFFICERS // 2


@pytest.mark.parametrize("shared", ON)
def test_without_the_lock_and_the_version_check_steps_are_taken_twice(place: County) -> None:
    """The control: what is above would see it."""
    soak.strip(place)

    found = soak.race(place, CASES, random.Random(SEED), unguarded=True)

    assert soak.judged(place, found, CASES).get("twice", 0) > 0


@pytest.mark.parametrize("shared", ON)
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_whoever_is_killed_leaves_it_whole_or_undone_and_it_is_done_again(
    tmp_path: Path, name: str, shared: bool
) -> None:
    found = soak.kills(name, tmp_path, KILLS, SEED, shared=shared)

    assert found["killed"] == KILLS
