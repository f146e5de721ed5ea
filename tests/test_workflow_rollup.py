"""Several plans at a glance, in files and in one server's database."""

import re
from datetime import date
from pathlib import Path

import county
import psycopg
import pytest
import server
from county import CODE, OTHER_UNIT, TOWN, County

import cli
from states.errors import UsageFault
from states.vocabulary import State
from workflow import audit, db, journal, rollup, setup, upgrade
from workflow.cases import Clocks
from workflow.db import Database
from workflow.errors import NotPermitted

DAY = date(2023, 10, 20)


def on_the_day(database: Database) -> Clocks:
    return Clocks(DAY, past=True)


def test_each_plan_is_told_by_its_own_rules_and_a_drill_is_not_summed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    real = county.fresh(tmp_path / "one", drill=False, shared=False)
    drill = county.fresh(tmp_path / "two", shared=False)
    county.carry(real, [TOWN[2]], State.CLOSED)
    county.carry(real, [CODE, OTHER_UNIT, TOWN[1]], State.ACCEPTANCE)
    real.carry_out([county.accept(CODE), county.accept(OTHER_UNIT)], "zhao", county.ACCEPTED)

    first, second = rollup.of([real.url, drill.url], on_the_day)

    assert (first.registered, first.completed, first.accepted, first.closed) == (9, 3, 2, 1)
    assert (first.task, first.overdue, first.drill) == (14, 7, False)
    assert (second.registered, second.completed, second.drill) == (10, 0, True)
    assert rollup.total([first, second])["registered"] == 9
    assert rollup.total([first, second])["overdue"] == 7


@pytest.mark.server
class TestOneDatabase:
    """A city's database: two counties' plans, each with its schema, officers and journal."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> County:
        place = county.fresh(tmp_path, shared=True)
        file = tmp_path / "other.toml"
        text = county.plan_text().replace('name = "tiny"', 'name = "other-2024"')
        file.write_text(text.replace('county = "小县"', 'county = "邻县"'), encoding="utf-8")
        setup.create(
            bare(place),
            str(file),
            drill=True,
            login="zhou",
            name="周县办",
            today=county.FOUNDED,
            clock=journal.noon(county.FOUNDED),
            password=server.password("zhou"),
        )
        return place

    def test_plans_share_a_database_and_nothing_else(self, place: County) -> None:
        other = db.connect(server.as_login(bare(place), "zhou"))

        assert other.plan == "other-2024"
        with other.reading() as connection:
            assert journal.size(connection) == 3
        with pytest.raises(NotPermitted):
            db.connect(server.as_login(place.url, "zhou"))
        with pytest.raises(NotPermitted):
            db.connect(server.as_login(other.url, "wang"))
        other.close()

    def test_who_has_to_do_with_several_says_which(self, place: County) -> None:
        assert db.plans_of(bare(place)) == ("other-2024", "tiny")
        with pytest.raises(UsageFault, match=r"里有几个计划：other-2024、tiny"):
            db.connect(bare(place))

    def test_one_command_tells_of_all_that_a_login_may_see(
        self, place: County, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.run(["--db", bare(place), "report", "rollup"]) == 0
        told = capsys.readouterr().out

        assert "邻县 2023（演练）" in told
        assert "小县 2023（演练）" in told

    def test_the_tables_of_all_plans_become_partitions_as_the_page_says(
        self, place: County
    ) -> None:
        page = Path(__file__).parent.parent / "docs" / "province.md"
        attach, detach = re.findall(r"```sql\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        by_plan = "SELECT plan_name, count(*) FROM city.journal GROUP BY plan_name ORDER BY 1"
        events = len(place.sql("SELECT seq FROM journal"))

        place.sql(attach)
        place.sql(attach)

        assert place.sql(by_plan) == [("other-2024", 3), ("tiny", events)]
        county.carry(place, [CODE], State.STABLE_SEASON)
        assert place.sql(by_plan)[1] > ("tiny", events)
        [(plan,)] = place.sql(
            "EXPLAIN (FORMAT JSON) SELECT 1 FROM city.journal WHERE plan_name = 'tiny'"
        )
        assert "other-2024" not in str(plan)
        with place.database.reading() as connection:
            assert audit.verification(connection).findings == ()
            assert upgrade.schema_faults(connection) == []
        assert raw_rows(place, "wang", "SELECT DISTINCT unit FROM household_case") == [("101",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            raw_rows(place, "wang", "SELECT 1 FROM city.journal")

        place.sql(detach)

        with place.database.reading() as connection:
            assert upgrade.schema_faults(connection) == []
        place.sql(attach)

    def test_an_officer_of_a_unit_sees_no_rollup(
        self, place: County, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url = server.as_login(place.url, "wang")

        assert cli.run(["--db", url, "report", "rollup"]) == 5


def raw_rows(place: County, login: str, query: str) -> list[tuple[object, ...]]:
    """What an officer gets for a query by hand."""
    with psycopg.connect(server.plain(server.as_login(place.url, login))) as connection:
        return connection.execute(query.encode()).fetchall()


def bare(place: County) -> str:
    """The database's address without a plan."""
    return server.without_plan(place.url)
