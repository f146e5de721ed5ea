"""Plans revised while cases are under way: on a real county's database."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from county import (
    CODE,
    LEDGER_IN,
    PAPER,
    PERMITTED,
    TOWN,
    County,
    carry,
    every_row,
    fresh,
    make_order,
    noon,
    permit,
    plan_text,
    winter,
)
from office import Office

from states import plan as plans
from states.errors import StepRefused, UsageFault
from states.plan import Plan
from states.vocabulary import FactKind, Role, State, Trigger
from workflow import audit, cases, overdue, register, revision, setup
from workflow.cases import Clocks
from workflow.engine import Receipt
from workflow.errors import NotPermitted
from workflow.revision import Impact, Revised

AFTER = date(2024, 4, 10)
PLAN = plan_text()
VERIFIED = plan_text(verified=True)


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    """A drill whose seasons nobody has verified."""
    made = fresh(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[County]:
    """A real database whose seasons nobody has verified: it permits nothing yet."""
    made = fresh(tmp_path, drill=False)
    yield made
    made.database.close()


def new_plan(text: str, *swaps: tuple[str, str]) -> Plan:
    for was, now in swaps:
        assert was in text
        text = text.replace(was, now)
    return plans.from_toml(text, "new.toml")


def shown(county: County, new: Plan, today: date = AFTER) -> Impact:
    with county.database.reading() as connection:
        return revision.examine(connection, new, today)


def revise(county: County, new: Plan, login: str, today: date = AFTER) -> Revised:
    return revision.revise(county.database, new, [PAPER], "县政府文件", login, noon(today))


def in_force(county: County) -> Plan:
    with county.database.reading() as connection:
        return register.plan_in_force(connection)


def clean(county: County) -> bool:
    with county.database.reading() as connection:
        return audit.report(connection).integrity == ()


VERIFY = new_plan(VERIFIED)


def test_verified_seasons_open_the_way_to_permissions_in_a_real_database(real: County) -> None:
    carry(real, [CODE], State.STABLE_SEASON)
    winter(real, [CODE])
    impact = shown(real, VERIFY)

    assert [fate.code for fate in impact.permitted] == [CODE]
    assert "未核实" in impact.permitted[0].why
    assert impact.second

    assert not revise(real, VERIFY, "zhang").adopted
    assert in_force(real).hash != VERIFY.hash
    assert revise(real, VERIFY, "li").adopted
    assert isinstance(real.carry_out([permit(CODE)], "zhang", AFTER)[0], Receipt)
    assert clean(real)


def test_showing_a_revision_writes_nothing(county: County) -> None:
    before = every_row(county)

    shown(county, VERIFY)

    assert every_row(county) == before


@pytest.mark.parametrize("login", ["zhao-county", "zhang"])
def test_who_proposed_a_revision_does_not_confirm_it_under_any_login(
    county: County, login: str
) -> None:
    proposer = "li" if login == "zhang" else "zhang"
    revise(county, VERIFY, proposer)

    assert not revise(county, VERIFY, proposer).adopted
    assert in_force(county).hash != VERIFY.hash
    assert revise(county, VERIFY, login).adopted


def test_two_logins_of_one_person_are_one_person(county: County) -> None:
    setup.add_officer(
        county.database,
        "zhang-2",
        "张县办",
        Role.COUNTY_OFFICE,
        None,
        "zhang",
        actor="li",
        now=noon(LEDGER_IN),
    )
    revise(county, VERIFY, "zhang")

    with pytest.raises(StepRefused) as refusal:
        revise(county, VERIFY, "zhang-2")

    assert [reason.guard for reason in refusal.value.reasons] == ["separation"]
    assert in_force(county).hash != VERIFY.hash


def test_what_was_proposed_is_confirmed_for_the_same_cases_only(real: County) -> None:
    carry(real, TOWN[:2], State.STABLE_SEASON)
    winter(real, [CODE])
    revise(real, VERIFY, "zhang")
    later_paper = (("late_document", PAPER.name),)
    heat = (("first_heat_on", "2023-11-02"), *later_paper)
    real.advance(TOWN[1], FactKind.WORKS, AFTER, *heat, files=(PAPER,))
    for day in (date(2023, 12, 5), date(2024, 1, 20)):
        pairs = (("temperature", "20"), *later_paper)
        order = make_order(TOWN[1], FactKind.VISIT, *pairs, on=day, files=(PAPER,))
        assert isinstance(real.carry_out([order], "wang", AFTER)[0], Receipt)
    real.advance(TOWN[1], FactKind.SIGNATURE, AFTER, ("season", "2023-2024"), ("by", "household"))

    with pytest.raises(StepRefused, match="2 户"):
        revise(real, VERIFY, "li")
    assert not revise(real, VERIFY, "zhang").adopted
    assert revise(real, VERIFY, "li").adopted


def test_a_proposal_is_spent_by_another_adoption(county: County) -> None:
    revise(county, VERIFY, "zhang")
    tighter = new_plan(PLAN, ("[rules.outage_days]\nvalue = 3", "[rules.outage_days]\nvalue = 2"))
    assert revise(county, tighter, "zhang").adopted

    assert not revise(county, new_plan(VERIFIED, ("value = 3", "value = 2")), "li").adopted


def test_a_loosening_is_refused_with_every_reason_and_writes_nothing(county: County) -> None:
    loose = new_plan(PLAN, ("[rules.outage_days]\nvalue = 3", "[rules.outage_days]\nvalue = 9"))
    before = every_row(county)

    with pytest.raises(StepRefused) as refusal:
        revise(county, loose, "zhang")

    assert "outage_days" in refusal.value.message
    assert every_row(county) == before


def test_a_unit_with_cases_cannot_be_struck_off(county: County) -> None:
    without = new_plan(
        PLAN,
        ('code = "102"\nname = "乙乡"', 'code = "109"\nname = "丁乡"'),
        ('aliases = ["乙镇"]\n', ""),
    )

    assert {fate.code for fate in shown(county, without).stranded} == {"102-0001", "102-0002"}
    with pytest.raises(StepRefused):
        revise(county, without, "zhang")


def test_a_case_left_without_any_season_to_wait_for_is_stranded(county: County) -> None:
    carry(county, [CODE], State.STABLE_SEASON)
    three = new_plan(
        PLAN, ("[rules.required_seasons]\nvalue = 1", "[rules.required_seasons]\nvalue = 3")
    )

    assert CODE in {fate.code for fate in shown(county, three).stranded}


def test_more_seasons_block_who_was_ready_and_question_who_was_permitted(county: County) -> None:
    carry(county, TOWN[:2], State.STABLE_SEASON)
    winter(county, TOWN[:2])
    county.advance(CODE, Trigger.PERMIT, PERMITTED)
    two = new_plan(
        PLAN, ("[rules.required_seasons]\nvalue = 1", "[rules.required_seasons]\nvalue = 2")
    )
    impact = shown(county, two)

    assert [fate.code for fate in impact.blocked] == [TOWN[1]]
    assert [fate.code for fate in impact.questioned] == [CODE]


def test_moved_deadlines_are_listed_and_then_stand_in_every_row(county: County) -> None:
    carry(county, [CODE], State.CONSTRUCTION)
    later = new_plan(PLAN, ("end = 2023-09-30", "end = 2023-10-31"), *LATER_ACCEPTANCE)
    impact = shown(county, later)

    assert [(str(m.was), str(m.now), m.cases) for m in impact.moved] == [
        ("2023-09-30", "2023-10-31", 10)
    ]
    assert revise(county, later, "zhang").adopted
    with county.database.reading() as connection:
        found = cases.positions(connection, register.plan_in_force(connection), Clocks(AFTER))
    assert {str(position.due_on) for position in found} == {"2023-10-31"}
    assert clean(county)


LATER_ACCEPTANCE = (
    ("start = 2023-10-01\nend = 2023-10-14", "start = 2023-11-01\nend = 2023-11-14"),
    ("start = 2023-10-15\nend = 2024-04-15", "start = 2023-11-15\nend = 2024-04-15"),
)


def test_a_quota_moved_below_what_is_registered_is_named_once(county: County) -> None:
    moved = new_plan(
        PLAN,
        ('kind = "residential", households = 8 }', 'kind = "residential", households = 5 }'),
        ('kind = "residential", households = 2 }', 'kind = "residential", households = 5 }'),
    )
    impact = shown(county, moved)

    assert [(e.unit, e.households, e.cases) for e in impact.exceeded] == [("101", 5, 6)]
    assert not impact.refused
    assert not impact.second


def test_a_revision_needs_its_document_and_reason(county: County) -> None:
    with pytest.raises(UsageFault):
        revision.revise(county.database, VERIFY, [], "理由", "zhang", noon(AFTER))
    with pytest.raises(UsageFault):
        revision.revise(county.database, VERIFY, [PAPER], None, "zhang", noon(AFTER))


def test_only_the_county_office_revises(county: County) -> None:
    for login in ("wang", "shen", "zhao"):
        with pytest.raises(NotPermitted):
            revise(county, VERIFY, login)


def test_the_plan_in_force_is_no_revision_of_itself(county: County) -> None:
    with pytest.raises(UsageFault):
        revise(county, new_plan(PLAN), "zhang")


def test_a_revision_back_to_an_earlier_plan_is_found_in_force_again(county: County) -> None:
    tighter = new_plan(PLAN, ("[rules.notice_days]\nvalue = 7", "[rules.notice_days]\nvalue = 9"))
    first = in_force(county)
    for new in (tighter, first):
        revise(county, new, "zhang")
        revise(county, new, "li")

    assert in_force(county).hash == first.hash
    assert clean(county)


def test_a_revision_makes_no_earlier_removal_lawful(county: County) -> None:
    carry(county, [CODE], State.REMOVAL_PERMITTED)
    gone = (("facility", "kang"), ("status", "removed"), ("by", "household"))
    county.advance(TOWN[1], FactKind.OLD_FACILITY, PERMITTED, *gone)
    revise(county, VERIFY, "zhang", AFTER)
    revise(county, VERIFY, "li", AFTER)

    with county.database.reading() as connection:
        report = audit.report(connection)

    assert [finding.code for finding in report.removal] == ["removed_without_permission"]


# The plan of an instant ------------------------------------------------------------------------

LONGER = new_plan(
    PLAN,
    ("end = 2023-09-30", "end = 2023-10-20"),
    ("start = 2023-10-01", "start = 2023-10-21"),
    ("end = 2023-10-14", "end = 2023-10-31"),
    ("start = 2023-10-15", "start = 2023-11-01"),
)
REVISED = date(2023, 7, 1)


def known(county: County, at: datetime | None) -> Plan:
    with county.database.reading() as connection:
        return register.plan_known_at(connection, at)


def test_what_was_known_at_an_instant_is_judged_by_the_plan_of_that_instant(
    county: County,
) -> None:
    carry(county, [CODE], State.CONSTRUCTION)
    before = in_force(county)
    assert revise(county, LONGER, "zhang", REVISED).adopted
    moment = noon(REVISED)

    assert known(county, moment - timedelta(microseconds=1)).hash == before.hash
    assert known(county, moment).hash == known(county, None).hash == LONGER.hash
    assert known(county, noon(date(2023, 1, 1))).hash == before.hash


@pytest.mark.parametrize(
    ("asked", "due_on"),
    [
        ((), "2023-10-20"),
        (("--as-of", "2023-06-20"), "2023-10-20"),
        (("--known-at", "2023-06-20"), "2023-09-30"),
        (("--as-of", "2023-06-20", "--known-at", "2023-06-20"), "2023-09-30"),
        (("--known-at", "2023-07-01"), "2023-10-20"),
    ],
)
def test_every_report_takes_the_plan_of_its_clocks(
    county: County, capsys: pytest.CaptureFixture[str], asked: tuple[str, ...], due_on: str
) -> None:
    carry(county, [CODE], State.CONSTRUCTION)
    assert revise(county, LONGER, "zhang", REVISED).adopted
    office = Office(county, capsys, "zhang")
    clocks = ("--today", "2023-07-05")

    listed = json.loads(office.run(*clocks, "case", "list", *asked).text)
    shown = office.run(*clocks, "case", "show", CODE, *asked).answer

    [mine] = [one for one in listed if one["code"] == CODE]
    assert mine["due_on"] == shown["due_on"] == due_on


def test_a_permission_is_asked_for_by_the_plan_of_the_instant(real: County) -> None:
    carry(real, [CODE], State.STABLE_SEASON)
    winter(real, [CODE])
    revise(real, VERIFY, "zhang")
    revise(real, VERIFY, "li")
    before = Clocks(AFTER, known_at=noon(AFTER) - timedelta(seconds=1))

    with real.database.reading() as connection:
        then, told, _ = overdue.why(connection, CODE, None, before, None)
        now, none, _ = overdue.why(connection, CODE, None, Clocks(AFTER), None)

    assert [reason.guard for reason in then.reasons] == ["season_verified"]
    assert told
    assert (now.reasons, none) == ((), ())
