"""Who may do what on a server: a real PostgreSQL, each officer with his own login and password."""

from collections.abc import Iterator
from pathlib import Path

import county
import pytest
import server
from county import CODE, County

from workflow import db

pytestmark = pytest.mark.server


@pytest.fixture
def place(tmp_path: Path) -> Iterator[County]:
    """The county on a server, closed to everybody but its officers."""
    place = county.fresh(tmp_path, shared=True)
    server.set_up(place.url)
    yield place
    place.database.close()
    server.drop(place.url)


def acting(place: County, login: str) -> County:
    """The county as this officer connects to it."""
    return County(place.file, db.connect(server.as_login(place.url, login)))


def test_officers_carry_a_household_to_the_permission_each_with_his_own_login(
    place: County,
) -> None:
    for _, day, make in county.LIFE:
        order = make(CODE)
        who = county.usual_login(CODE, order.kind)
        acting(place, who).advance(
            CODE, order.kind, day, *county.pairs_of(order), files=order.files, login=who
        )
