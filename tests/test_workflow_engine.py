from datetime import date, timedelta
from pathlib import Path

import county
import pytest
from county import CODE, ONE_DAY, PAPER, PERMITTED, County, every_row
from msgspec.structs import replace

from states import plan as plans
from states.errors import StepRefused
from states.vocabulary import Area, FactKind, GateKind, Kind, Role, State, Trigger
from states.vocabulary import Path as HeatingPath
from workflow import cases, engine, ledger, overdue, register, setup
from workflow.cases import Clocks
from workflow.engine import Order, Receipt, Refusal
from workflow.errors import Conflict, JournalBroken, NotPermitted

SECOND, THIRD = county.TOWN[1], county.TOWN[2]
TODAY = PERMITTED


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


def guards(refusal: pytest.ExceptionInfo[StepRefused]) -> list[str]:
    return [reason.guard for reason in refusal.value.reasons]


# The way from 确村确户 to 允许拆除 --------------------------------------------------------------


@pytest.mark.parametrize("code", [CODE, county.OTHER_UNIT, county.HEATING, county.COLLECTIVE])
def test_a_case_goes_from_confirmation_to_permission_without_leaving_out_a_step(
    place: County, code: str
) -> None:
    county.carry(place, [code], State.REMOVAL_PERMITTED)

    moves = place.sql(
        "SELECT to_state FROM journal WHERE stream = ? AND to_state IS NOT NULL ORDER BY seq",
        f"case:{code}",
    )
    assert place.state(code) is State.REMOVAL_PERMITTED
    assert [state for (state,) in moves] == [
        State.HOUSEHOLD_CONFIRMATION,
        State.EQUIPMENT_SELECTION,
        State.CONSTRUCTION,
        State.ACCEPTANCE,
        State.STABLE_SEASON,
        State.REMOVAL_PERMITTED,
    ]


def test_the_receipt_says_what_was_done(place: County) -> None:
    receipt = place.advance(
        CODE, Trigger.CONFIRM, county.CONFIRMED, *county.pairs_of(county.confirm(CODE))
    )

    [(seq, version, digest)] = place.sql(
        "SELECT seq, version, hash FROM journal ORDER BY seq DESC LIMIT 1"
    )
    assert receipt == Receipt(
        code=CODE,
        trigger="confirm",
        state=State.EQUIPMENT_SELECTION,
        version=2,
        seq=int(str(seq)),
        event_hash=str(digest),
        occurred_on=county.CONFIRMED,
        recorded_at=county.noon(county.CONFIRMED),
        due_on=date(2023, 9, 30),
        drill=True,
    )
    assert version == 2


def test_a_drill_permits_on_unverified_seasons_and_says_so(place: County) -> None:
    county.carry(place, [CODE], State.STABLE_SEASON)
    county.winter(place, [CODE])

    receipt = place.advance(CODE, Trigger.PERMIT, PERMITTED)

    assert receipt.drill
    assert receipt.unverified == ("2023-2024 采暖季起止日期", "要求的采暖季数（required_seasons）")


def test_a_real_database_with_verified_seasons_permits_without_any_mark(tmp_path: Path) -> None:
    place = county.fresh(tmp_path, drill=False, verified=True)
    county.carry(place, [CODE], State.STABLE_SEASON)
    county.winter(place, [CODE])

    receipt = place.advance(CODE, Trigger.PERMIT, PERMITTED)

    assert (receipt.state, receipt.drill, receipt.unverified) == (
        State.REMOVAL_PERMITTED,
        False,
        (),
    )


def test_a_real_database_with_the_shipped_plan_refuses_every_permission(tmp_path: Path) -> None:
    place = county.empty_wutai(tmp_path)
    code = wutai_in_stable_season(place)
    before = every_row(place)

    with pytest.raises(StepRefused) as refusal:
        place.advance(code, Trigger.PERMIT, date(2024, 4, 22))

    assert guards(refusal) == ["season_verified"]
    assert "2023-2024 采暖季起止日期" in refusal.value.message
    assert refusal.value.reasons[0].earliest is None
    assert every_row(place) == before


def wutai_in_stable_season(place: County) -> str:
    """A household of 豆村镇 that has all a permission needs but verified seasons."""
    founded = county.noon(county.FOUNDED)
    for login, role, unit in (
        ("wang", Role.UNIT_OFFICER, "103"),
        ("zhao", Role.ACCEPTOR, None),
    ):
        setup.add_officer(
            place.database, login, login, role, unit, None, actor="zhang", now=founded
        )
    folder = place.file.parent
    catalogue = folder / "models.csv"
    catalogue.write_text(f"型号,品牌,取暖方式,中标包号\n{county.MODEL},格力,煤改电,1\n")
    setup.import_catalogue(place.database, catalogue, actor="zhang", now=founded)
    row = county.household(1, "101", 责任单位="豆村镇")
    file = county.write_workbook(folder / "豆村.xlsx", [row])
    [code] = ledger.import_file(place.database, file, "wang", founded).codes
    opened = date(2023, 5, 1)
    setup.open_gate(
        place.database,
        "豆村镇",
        "前村",
        GateKind.GRID,
        opened,
        [PAPER],
        actor="zhang",
        now=founded,
    )
    with place.database.reading() as connection:
        listed = register.plan_in_force(connection).acceptance_of(
            HeatingPath.COAL_TO_ELECTRIC, Kind.RESIDENTIAL, Area.RURAL
        )
    accepting = [
        *(("item", f"{item}:pass") for item in listed.items),
        *(("signer", signer) for signer in listed.signers),
        *(("document", f"{name}:{PAPER.name}") for name in listed.documents),
        ("facility", f"kang:present:{county.PHOTO.name}"),
    ]
    files = (PAPER, county.PHOTO)
    accept = county.make_order(code, Trigger.ACCEPT, *accepting, files=files)
    for order, login, day in (
        (county.confirm(code), "wang", county.CONFIRMED),
        (county.select(code), "wang", county.SELECTED),
        (county.complete(code), "wang", county.COMPLETED),
        (accept, "zhao", county.ACCEPTED),
        (county.heat(code, date(2023, 10, 16)), "wang", date(2023, 10, 20)),
        (county.visit(code), "wang", date(2023, 12, 1)),
        (county.visit(code), "wang", date(2024, 1, 20)),
        (county.sign(code), "wang", date(2024, 4, 16)),
    ):
        engine.advance(place.database, order, login, county.noon(day))
    return code


# What a refusal leaves behind -------------------------------------------------------------------


def pick(order: Order, **change: str | None) -> Order:
    """The order with keys of its evidence replaced, or left out where None."""
    pairs = [(k, v) for k, v in county.pairs_of(order) if k not in change]
    pairs += [(k, v) for k, v in change.items() if v is not None]
    return county.make_order(order.code, order.kind, *pairs, files=order.files)


REFUSED = [
    pytest.param(
        State.HOUSEHOLD_CONFIRMATION,
        pick(county.confirm(CODE), visit_on=None),
        county.CONFIRMED,
        ["visited"],
        id="no visit",
    ),
    pytest.param(
        State.HOUSEHOLD_CONFIRMATION,
        pick(county.confirm(CODE), notice_to="2023-06-07"),
        county.CONFIRMED,
        ["notice_held"],
        id="six days of notice",
    ),
    pytest.param(
        State.HOUSEHOLD_CONFIRMATION,
        pick(county.confirm(CODE), consent_by=None, old_facility="none"),
        county.CONFIRMED,
        ["consented", "old_facilities_listed"],
        id="all reasons at once",
    ),
    pytest.param(
        State.EQUIPMENT_SELECTION,
        pick(county.select(CODE), model="NOT-ON-THE-LIST"),
        county.SELECTED,
        ["device_chosen"],
        id="a model not procured",
    ),
    pytest.param(
        State.CONSTRUCTION,
        pick(county.complete(CODE), installed_on="2023-08-11"),
        county.COMPLETED,
        ["works_dated"],
        id="installed after ready",
    ),
    pytest.param(
        State.ACCEPTANCE,
        pick(county.accept(CODE), item="试运行正常:fail"),
        county.ACCEPTED,
        ["all_items_pass"],
        id="an item fails",
    ),
    pytest.param(
        State.STABLE_SEASON,
        county.permit(CODE),
        county.ACCEPTED,
        ["season_served", "warm_visits_made", "season_signed", "first_heat_known"],
        id="no season yet",
    ),
    pytest.param(State.CONSTRUCTION, county.permit(CODE), county.COMPLETED, ["state"], id="state"),
]


@pytest.mark.parametrize(("state", "order", "day", "expected"), REFUSED)
def test_a_refused_step_names_every_reason_and_leaves_no_trace(
    place: County, state: State, order: Order, day: date, expected: list[str]
) -> None:
    county.carry(place, [CODE], state)
    before = every_row(place)

    with pytest.raises(StepRefused) as refusal:
        engine.advance(
            place.database, order, county.usual_login(CODE, order.kind), county.noon(day)
        )

    assert sorted(guards(refusal)) == sorted(expected)
    assert every_row(place) == before


def test_a_permission_is_refused_on_the_last_day_of_the_season_and_given_on_the_next(
    place: County,
) -> None:
    county.carry(place, [CODE], State.STABLE_SEASON)
    for day, make in county.WINTER[:-1]:
        engine.advance(place.database, make(CODE), "wang", county.noon(day))
    before = every_row(place)

    with pytest.raises(StepRefused) as refusal:
        place.advance(CODE, Trigger.PERMIT, county.LAST_DAY)

    assert every_row(place) == before
    assert {reason.earliest for reason in refusal.value.reasons} == {county.SIGNED}
    engine.advance(place.database, county.sign(CODE), "wang", county.noon(county.SIGNED))
    permitted = place.advance(CODE, Trigger.PERMIT, county.SIGNED)
    assert permitted.state is State.REMOVAL_PERMITTED


@pytest.mark.parametrize(
    ("kind", "login"),
    [
        (Trigger.CONFIRM, "zhao"),
        (Trigger.CONFIRM, "zhang"),
        (Trigger.ACCEPT, "wang"),
        (Trigger.PERMIT, "wang"),
        (Trigger.PERMIT, "zhao"),
        (Trigger.PERMIT, "shen"),
        (Trigger.CLOSE, "head"),
        (FactKind.FINDING, "wang"),
        (FactKind.EXTENSION, "head"),
        (FactKind.CORRECT, "head"),
        (FactKind.VISIT, "shen"),
        (FactKind.FAULT, "zhao"),
    ],
)
def test_a_wrong_role_may_not_and_leaves_no_trace(
    place: County, kind: Trigger | FactKind, login: str
) -> None:
    before = every_row(place)

    with pytest.raises(NotPermitted, match="办理"):
        place.advance(CODE, kind, TODAY, login=login)

    assert every_row(place) == before


def test_another_units_case_and_no_case_look_alike(place: County) -> None:
    before = every_row(place)
    told = []
    for code in (county.OTHER_UNIT, "101-9999", "没有这户"):
        with pytest.raises(NotPermitted) as refusal:
            place.advance(code, FactKind.FAULT, TODAY, ("what", "不热"), login="wang")
        told.append(refusal.value.message.replace(code, "CODE"))

    assert len(set(told)) == 1
    assert every_row(place) == before


def test_a_disabled_login_may_do_nothing(place: County) -> None:
    setup.disable_officer(place.database, "wang", actor="zhang", now=county.noon(county.LEDGER_IN))
    before = every_row(place)

    with pytest.raises(NotPermitted, match="wang"):
        place.advance(CODE, FactKind.FAULT, TODAY, ("what", "不热"))

    assert every_row(place) == before


# Facts beside the line ---------------------------------------------------------------------------

FACTS: list[tuple[FactKind, tuple[tuple[str, str], ...]]] = [
    (FactKind.WORKS, (("first_heat_on", str(county.PERMITTED)),)),
    (FactKind.NOTICE, (("objection", "邻居不同意"),)),
    (FactKind.OLD_FACILITY, (("facility", "kang"), ("status", "removed"), ("by", "household"))),
    (FactKind.FAULT, (("what", "不热"),)),
    (FactKind.VISIT, (("temperature", "15.5"),)),
    (FactKind.SIGNATURE, (("season", "2023-2024"), ("by", "family"))),
    (FactKind.VIOLATION, (("type", "kang_sealed"), ("by", "施工队"), ("what", "封了炕"))),
    (FactKind.COMPLAINT, (("what", "电费高"),)),
    (FactKind.FINDING, (("what", "档案不全"), ("severity", "serious"))),
    (FactKind.PAUSE, (("cause", "weather"),)),
]


@pytest.mark.parametrize("state", list(State))
def test_facts_are_taken_in_any_state_and_never_move_the_case(place: County, state: State) -> None:
    county.carry(place, [CODE], state)
    day = county.PERMITTED

    for kind, pairs in FACTS:
        receipt = place.advance(CODE, kind, day, *pairs)
        assert (receipt.state, receipt.trigger) == (state, kind)
    fault, pause = place.sql(
        "SELECT seq FROM journal WHERE kind IN ('fault', 'pause') ORDER BY seq"
    )
    place.advance(CODE, FactKind.REPAIR, day, ("fault", str(fault[0])))
    place.advance(CODE, FactKind.RESUME, day)
    for answered in ("notice", "violation", "complaint", "finding"):
        [(seq,)] = place.sql("SELECT seq FROM journal WHERE kind = ?", answered)
        answer = (("id", str(seq)), ("outcome", "resolved"))
        place.advance(CODE, FactKind.RESOLVE, day, *answer, files=[PAPER])
    place.advance(
        CODE, FactKind.CORRECT, day, ("id", str(fault[0])), ("what", "水管漏"), files=[PAPER]
    )

    assert pause
    assert place.state(CODE) is state
    moving = place.sql(
        "SELECT COUNT(*) FROM journal WHERE to_state IS NOT NULL AND kind IN "
        "('works','notice','old-facility','fault','repair','visit','signature',"
        "'violation','complaint','finding','pause','resume','resolve','correct')"
    )
    assert moving == [(0,)]


def test_a_removal_without_permission_is_taken_and_warned_of(place: County) -> None:
    receipt = place.advance(CODE, FactKind.OLD_FACILITY, TODAY, *FACTS[2][1])

    assert receipt.warning is not None
    assert "没有有效的拆除许可" in receipt.warning


def test_a_removal_on_a_permission_is_not_warned_of(place: County) -> None:
    county.carry(place, [CODE], State.REMOVAL_PERMITTED)

    receipt = place.advance(CODE, FactKind.OLD_FACILITY, PERMITTED, *FACTS[2][1])

    assert receipt.warning is None


@pytest.mark.parametrize("kind", [FactKind.VIOLATION, FactKind.COMPLAINT, FactKind.FINDING])
def test_an_open_matter_freezes_the_permission_until_it_is_resolved(
    place: County, kind: FactKind
) -> None:
    county.carry(place, [CODE], State.STABLE_SEASON)
    county.winter(place, [CODE])
    seq = place.advance(CODE, kind, PERMITTED, *dict(FACTS)[kind]).seq

    with pytest.raises(StepRefused) as refusal:
        place.advance(CODE, Trigger.PERMIT, PERMITTED)

    assert guards(refusal) == ["nothing_open"]
    answer = (("id", str(seq)), ("outcome", "unfounded"))
    place.advance(CODE, FactKind.RESOLVE, PERMITTED, *answer, files=[PAPER])
    assert place.advance(CODE, Trigger.PERMIT, PERMITTED).state is State.REMOVAL_PERMITTED


# Idempotency keys -----------------------------------------------------------------------------


def test_the_same_key_gives_the_same_receipt_and_writes_nothing(place: County) -> None:
    pairs = (("what", "不热"),)
    first = place.advance(CODE, FactKind.FAULT, TODAY, *pairs, key="k1")
    place.advance(CODE, FactKind.VISIT, TODAY, ("temperature", "12"))
    before = every_row(place)

    again = place.advance(CODE, FactKind.FAULT, TODAY + ONE_DAY, *pairs, key="k1")

    assert again == replace(first, repeated=True)
    assert every_row(place) == before


def test_a_repeated_permission_still_says_what_is_unverified(place: County) -> None:
    county.carry(place, [CODE], State.STABLE_SEASON)
    county.winter(place, [CODE])
    first = place.advance(CODE, Trigger.PERMIT, PERMITTED, key="p")

    again = place.advance(CODE, Trigger.PERMIT, PERMITTED + ONE_DAY, key="p")

    assert first.unverified
    assert again == replace(first, repeated=True)


def test_a_repeated_removal_still_carries_its_warning(place: County) -> None:
    first = place.advance(CODE, FactKind.OLD_FACILITY, TODAY, *FACTS[2][1], key="r")

    again = place.advance(CODE, FactKind.OLD_FACILITY, TODAY, *FACTS[2][1], key="r")

    assert first.warning
    assert again == replace(first, repeated=True)


@pytest.mark.parametrize(
    ("code", "what", "day"),
    [(CODE, "不冷", None), (SECOND, "不热", None), (CODE, "不热", TODAY)],
)
def test_a_key_used_for_another_command_is_a_conflict(
    place: County, code: str, what: str, day: date | None
) -> None:
    place.advance(CODE, FactKind.FAULT, TODAY, ("what", "不热"), key="k1")
    before = every_row(place)

    with pytest.raises(Conflict) as conflict:
        place.advance(code, FactKind.FAULT, TODAY, ("what", what), on=day, key="k1")

    assert conflict.value.code == "key_reused"
    assert every_row(place) == before


def test_a_key_does_not_open_another_units_case(place: County) -> None:
    place.advance(CODE, FactKind.FAULT, TODAY, ("what", "不热"), key="k1")

    with pytest.raises(NotPermitted, match="没有编号为"):
        place.advance(CODE, FactKind.FAULT, TODAY, ("what", "不热"), key="k1", login="qian")


def test_a_refused_command_does_not_use_up_its_key(place: County) -> None:
    with pytest.raises(StepRefused):
        place.advance(CODE, Trigger.CONFIRM, county.CONFIRMED, key="k1")

    order = replace(county.confirm(CODE), key="k1")
    done = engine.advance(place.database, order, "wang", county.noon(county.CONFIRMED))

    assert (done.state, done.repeated) == (State.EQUIPMENT_SELECTION, False)


# Separation of persons --------------------------------------------------------------------------


def test_nobody_resolves_what_they_recorded_themselves(place: County) -> None:
    seq = place.advance(CODE, FactKind.COMPLAINT, TODAY, ("what", "电费高"), login="zhang").seq
    answer = (("id", str(seq)), ("outcome", "resolved"))
    before = every_row(place)

    with pytest.raises(StepRefused) as refusal:
        place.advance(CODE, FactKind.RESOLVE, TODAY, *answer, files=[PAPER], login="zhang")

    assert guards(refusal) == ["separation"]
    assert every_row(place) == before
    place.advance(CODE, FactKind.RESOLVE, TODAY, *answer, files=[PAPER], login="li")


@pytest.mark.parametrize("accused", ["li", "李县办"])
def test_nobody_resolves_what_they_are_accused_of(place: County, accused: str) -> None:
    pairs = (("type", "other"), ("by", accused), ("what", "态度粗暴"))
    seq = place.advance(CODE, FactKind.VIOLATION, TODAY, *pairs).seq
    answer = (("id", str(seq)), ("outcome", "unfounded"))

    with pytest.raises(StepRefused) as refusal:
        place.advance(CODE, FactKind.RESOLVE, TODAY, *answer, files=[PAPER], login="li")

    assert guards(refusal) == ["separation"]
    place.advance(CODE, FactKind.RESOLVE, TODAY, *answer, files=[PAPER], login="zhang")


def test_nobody_corrects_what_they_recorded_themselves(place: County) -> None:
    seq = place.advance(CODE, FactKind.VISIT, TODAY, ("temperature", "12"), login="zhang").seq
    right = (("id", str(seq)), ("temperature", "21"))

    with pytest.raises(StepRefused) as refusal:
        place.advance(CODE, FactKind.CORRECT, TODAY, *right, files=[PAPER], login="zhang")

    assert guards(refusal) == ["separation"]
    place.advance(CODE, FactKind.CORRECT, TODAY, *right, files=[PAPER], login="li")


def test_separation_is_by_person_and_not_by_login(place: County) -> None:
    county.carry(place, [CODE], State.ACCEPTANCE)
    order = county.accept(CODE)

    with pytest.raises(StepRefused) as refusal:
        engine.advance(place.database, order, "wang-accepts", county.noon(county.ACCEPTED))
    assert guards(refusal) == ["separation"]

    engine.advance(place.database, order, "zhao", county.noon(county.ACCEPTED))
    county.winter(place, [CODE])
    with pytest.raises(StepRefused) as refusal:
        place.advance(CODE, Trigger.PERMIT, PERMITTED, login="zhao-county")
    assert guards(refusal) == ["separation"]


def test_who_recorded_works_in_part_may_not_accept(place: County) -> None:
    county.carry(place, [CODE], State.CONSTRUCTION)
    place.advance(
        CODE, FactKind.WORKS, date(2023, 7, 11), ("started_on", "2023-07-11"), login="zhang"
    )
    setup.add_officer(
        place.database,
        "zhang-accepts",
        "张县办",
        Role.ACCEPTOR,
        None,
        "zhang",
        actor="zhang",
        now=county.noon(county.COMPLETED),
    )
    engine.advance(place.database, county.complete(CODE), "wang", county.noon(county.COMPLETED))

    with pytest.raises(StepRefused) as refusal:
        engine.advance(
            place.database, county.accept(CODE), "zhang-accepts", county.noon(county.ACCEPTED)
        )

    assert guards(refusal) == ["separation"]


# Serials ---------------------------------------------------------------------------------------


def test_a_serial_stands_at_one_open_case_only(place: County) -> None:
    county.carry(place, [CODE, SECOND], State.CONSTRUCTION)
    first = county.complete(CODE, serial="SN-1")
    engine.advance(place.database, first, "wang", county.noon(county.COMPLETED))
    before = every_row(place)

    second = county.complete(SECOND, serial="SN-1")
    with pytest.raises(StepRefused) as refusal:
        engine.advance(place.database, second, "wang", county.noon(county.COMPLETED))

    assert guards(refusal) == ["serial_unique"]
    assert every_row(place) == before


def test_a_serial_is_unique_within_one_batch_too(place: County) -> None:
    county.carry(place, [CODE, SECOND], State.CONSTRUCTION)
    orders = [county.complete(code, serial="SN-1") for code in (CODE, SECOND)]

    first, second = place.carry_out(orders, "wang", county.COMPLETED)

    assert isinstance(first, Receipt)
    assert isinstance(second, Refusal)
    assert [reason.guard for reason in second.error.reasons] == ["serial_unique"]


@pytest.mark.parametrize("leaving", ["close", "replace", "another serial"])
def test_a_serial_that_a_case_no_longer_has_may_stand_at_another(
    place: County, leaving: str
) -> None:
    county.carry(place, [CODE, SECOND], State.CONSTRUCTION)
    day = county.COMPLETED
    place.advance(CODE, FactKind.WORKS, day, ("serial", "SN-1"))
    if leaving == "another serial":
        place.advance(CODE, FactKind.WORKS, day, ("serial", "SN-2"))
    elif leaving == "close":
        place.advance(CODE, Trigger.CLOSE, day, *county.CLOSING)
    else:
        done = county.complete(CODE, serial="SN-1")
        engine.advance(place.database, done, "wang", county.noon(day))
        engine.advance(place.database, county.accept(CODE), "zhao", county.noon(county.ACCEPTED))
        day = county.ACCEPTED
        swap = (("findings", "坏了"), ("put_right_by", "2023-10-01"))
        place.advance(CODE, Trigger.REPLACE, day, *swap, reason="换机")

    order = county.complete(SECOND, serial="SN-1")
    done_second = engine.advance(place.database, order, "wang", county.noon(day))

    assert done_second.state is State.ACCEPTANCE


# A batch is one transaction --------------------------------------------------------------------


def test_a_batch_takes_a_case_through_several_steps_in_one_transaction(place: County) -> None:
    orders = [county.confirm(CODE), county.select(CODE), county.complete(CODE)]
    orders = [
        replace(order, on=on)
        for order, on in zip(
            orders, (county.CONFIRMED, county.SELECTED, county.COMPLETED), strict=True
        )
    ]
    late = [pick(replace(order), late_document=PAPER.name) for order in orders[:2]]
    given = [
        replace(late[0], on=county.CONFIRMED, files=(PAPER,)),
        replace(late[1], on=county.SELECTED, files=(PAPER,)),
        orders[2],
    ]

    answers = place.carry_out(given, "wang", county.COMPLETED)

    assert [type(answer) for answer in answers] == [Receipt] * 3
    assert [a.state for a in answers if isinstance(a, Receipt)] == [
        State.EQUIPMENT_SELECTION,
        State.CONSTRUCTION,
        State.ACCEPTANCE,
    ]
    assert place.state(CODE) is State.ACCEPTANCE


def test_a_permission_may_be_revoked_and_given_again_in_one_transaction(place: County) -> None:
    county.carry(place, [CODE], State.STABLE_SEASON)
    county.winter(place, [CODE])
    revoke = county.make_order(
        CODE, Trigger.REVOKE, ("cause", "paper_fault"), ("findings", "日期写错")
    )
    orders = [county.permit(CODE), revoke, county.permit(CODE)]

    answers = place.carry_out(orders, "zhang", PERMITTED)

    assert [type(answer) for answer in answers] == [Receipt] * 3
    assert place.state(CODE) is State.REMOVAL_PERMITTED
    assert place.sql("SELECT COUNT(*) FROM permission WHERE case_code = ?", CODE) == [(2,)]


def test_an_acceptance_of_one_transaction_carries_a_permission_of_a_later_one(
    place: County,
) -> None:
    county.carry(place, county.CODES, State.ACCEPTANCE)
    accepted = place.carry_out(
        [county.accept(code) for code in county.CODES], "zhao", county.ACCEPTED
    )
    county.winter(place, county.CODES)

    permitted = place.carry_out([county.permit(code) for code in county.CODES], "zhang", PERMITTED)

    assert all(isinstance(answer, Receipt) for answer in [*accepted, *permitted])
    assert {place.state(code) for code in county.CODES} == {State.REMOVAL_PERMITTED}


def test_the_refused_orders_of_a_batch_leave_no_trace(place: County) -> None:
    orders = [
        county.confirm(CODE),
        pick(county.confirm(SECOND), visit_on=None),
        county.confirm("101-9999"),
        county.confirm(county.OTHER_UNIT),
        county.confirm(THIRD),
    ]

    answers = place.carry_out(orders, "wang", county.CONFIRMED)

    assert [type(answer) for answer in answers] == [Receipt, Refusal, Refusal, Refusal, Receipt]
    assert place.sql("SELECT stream FROM journal WHERE kind = 'confirm'") == [
        (f"case:{CODE}",),
        (f"case:{THIRD}",),
    ]
    assert place.state(SECOND) is State.HOUSEHOLD_CONFIRMATION


def test_a_rehearsal_answers_like_the_step_and_writes_nothing(place: County) -> None:
    before = every_row(place)
    now = county.noon(county.CONFIRMED)

    state = engine.rehearse(place.database, county.confirm(CODE), "wang", now)
    with pytest.raises(StepRefused):
        engine.rehearse(place.database, pick(county.confirm(CODE), visit_on=None), "wang", now)

    assert state is State.EQUIPMENT_SELECTION
    assert every_row(place) == before


# A journal that does not verify ------------------------------------------------------------------


def break_stream(place: County, code: str) -> None:
    """Somebody drops the trigger and edits the bytes of the case's first event."""
    place.reword(f"case:{code}", "火", "水", version=1)
    place.tamper(
        "UPDATE journal"
        " SET hash = CASE substr(hash, 1, 2) WHEN '00' THEN '11' ELSE '00' END || substr(hash, 3)"
        " WHERE stream = ? AND version = 1",
        f"case:{code}",
    )


def test_a_broken_stream_is_not_written_to(place: County) -> None:
    break_stream(place, CODE)
    before = every_row(place)

    with pytest.raises(JournalBroken) as broken:
        place.advance(CODE, FactKind.FAULT, TODAY, ("what", "不热"))

    assert broken.value.status == 6
    assert every_row(place) == before


def test_a_broken_stream_stops_permissions_everywhere_and_other_writing_nowhere(
    place: County,
) -> None:
    county.carry(place, [SECOND], State.STABLE_SEASON)
    county.winter(place, [SECOND])
    break_stream(place, CODE)

    with pytest.raises(JournalBroken):
        place.advance(SECOND, Trigger.PERMIT, PERMITTED)
    done = place.advance(SECOND, FactKind.VISIT, PERMITTED, ("temperature", "20"))

    assert done.state is State.STABLE_SEASON


def test_a_broken_stream_does_not_stop_reading(place: County) -> None:
    county.carry(place, [SECOND], State.STABLE_SEASON)
    break_stream(place, CODE)
    now, then = Clocks(PERMITTED), Clocks(county.SELECTED, past=True)

    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        assert len(cases.positions(connection, plan, now)) == 10
        assert len(cases.positions(connection, plan, then)) == 10
        assert overdue.check(connection, plan, now).cases == 10
        assert overdue.todo(connection, plan, PERMITTED, None, None)
        facts, events = cases.facts_of(connection, CODE, None, now)
        overdue.why(connection, CODE, None, now, None)

    assert (facts.code, len(events)) == (CODE, 1)


def test_a_row_that_does_not_match_its_stream_is_not_written_to(place: County) -> None:
    place.tamper("UPDATE household_case SET version = 7 WHERE code = ?", CODE)

    with pytest.raises(JournalBroken):
        place.advance(CODE, FactKind.FAULT, TODAY, ("what", "不热"))


def test_nothing_is_decided_by_a_plan_that_somebody_put_into_the_table(place: County) -> None:
    county.carry(place, [CODE], State.STABLE_SEASON)
    looser = plans.from_toml(county.plan_text(exempt="coal_to_electric"), "looser.toml")
    place.sql(
        "UPDATE plan_revision SET document = ?, hash = ?, exempt_paths = ',coal_to_electric,'",
        looser.canonical,
        looser.hash,
    )
    before = every_row(place)

    with pytest.raises(JournalBroken):
        place.advance(CODE, Trigger.PERMIT, county.ACCEPTED)

    assert every_row(place) == before


def test_a_clock_that_stands_before_the_last_entry_is_refused(place: County) -> None:
    place.advance(CODE, FactKind.FAULT, TODAY, ("what", "不热"))
    before = every_row(place)

    with pytest.raises(Conflict) as conflict:
        place.advance(CODE, FactKind.FAULT, TODAY - ONE_DAY, ("what", "不热"))

    assert conflict.value.code == "clock_behind"
    assert every_row(place) == before


def test_a_clock_set_back_by_seconds_records_at_the_last_instant(place: County) -> None:
    first = place.advance(CODE, FactKind.FAULT, TODAY, ("what", "不热"))
    lagging = first.recorded_at - timedelta(seconds=30)

    order = county.make_order(CODE, FactKind.FAULT, ("what", "又不热"))
    second = engine.advance(place.database, order, "wang", lagging)

    assert second.recorded_at == first.recorded_at


def test_attachments_are_kept_once_by_their_hash(place: County) -> None:
    for code in (CODE, SECOND):
        seq = place.advance(code, FactKind.COMPLAINT, TODAY, ("what", "电费高")).seq
        answer = (("id", str(seq)), ("outcome", "resolved"))
        place.advance(code, FactKind.RESOLVE, TODAY, *answer, files=[PAPER])

    assert place.sql("SELECT COUNT(*) FROM attachment") == [(1,)]
