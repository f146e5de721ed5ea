from collections.abc import Sequence
from datetime import date

import pytest
from factories import DAY, XIAOXIAN, Life, check_told, officer, question

from states import guards_acceptance, lifecycle
from states.errors import Reason
from states.question import Guard
from states.vocabulary import FactKind, Kind, Path, Role, Trigger

TODAY = date(2024, 7, 1)
ITEMS = (("item", "通电试运行:pass"), ("item", "接地:pass"))
SIGNERS = (("signer", "村委会"), ("signer", "用户"))
DOCUMENTS = (("document", "验收表:ysb.pdf"),)
SEEN = (("facility", "kang:present:kang.jpg"),)
FILES = ("ysb.pdf", "kang.jpg")


def answer(
    guard: Guard,
    *pairs: tuple[str, str],
    life: Life | None = None,
    trigger: Trigger = Trigger.ACCEPT,
    files: Sequence[str] = FILES,
) -> Reason | None:
    """The guard's answer on the day of acceptance."""
    case = life or Life().to_acceptance()
    return guard(question(case.facts(), trigger, TODAY, *pairs, attached=files))


def gone(status: str = "removed", on: date = TODAY - DAY, life: Life | None = None) -> Life:
    """A case in 验收 whose kang is gone."""
    case = life or Life().to_acceptance()
    case.fact(FactKind.OLD_FACILITY, on, facility="kang", status=status, by="household")
    return case


def violated() -> tuple[Life, int]:
    """A case in 验收 with a violation on file, and its id."""
    life = Life().to_acceptance()
    return life, life.fact(FactKind.VIOLATION, TODAY - DAY, type="stove_removed", by="x", what="x")


def test_a_complete_acceptance_is_met_by_no_guard() -> None:
    asked = question(
        Life().to_acceptance().facts(),
        Trigger.ACCEPT,
        TODAY,
        *ITEMS,
        *SIGNERS,
        *DOCUMENTS,
        *SEEN,
        attached=FILES,
        actor=officer(Role.ACCEPTOR, "zhao"),
    )

    assert [guard(asked) for guard in lifecycle.guards_for(Trigger.ACCEPT) if guard(asked)] == []


@pytest.mark.parametrize(
    ("items", "told"),
    [
        (ITEMS, None),
        ((*ITEMS, ("item", "外观:pass")), None),
        (ITEMS[:1], "接地"),
        ((), "通电试运行、接地"),
        ((ITEMS[0], ("item", "接地:fail")), "不合格：接地"),
        ((*ITEMS, ("item", "外观:fail")), "不合格：外观"),
        ((*ITEMS, ("item", "接地:fail")), "不合格：接地"),
        ((("item", "接地:fail"), *ITEMS), "不合格：接地"),
    ],
    ids=["all", "one more", "one less", "none", "failed", "other", "twice", "failed first"],
)
def test_every_item_of_the_plan_is_answered_and_none_has_failed(
    items: Sequence[tuple[str, str]], told: str | None
) -> None:
    reason = answer(guards_acceptance.all_items_pass, *items)

    assert (reason is None) is (told is None)
    if reason and told:
        assert told in reason.message
        assert (reason.missing, reason.who, reason.earliest) == (
            ("item",),
            Role.ACCEPTOR,
            TODAY,
        )
        assert reason.clause == "通知 五（三）"


@pytest.mark.parametrize(
    ("signers", "refused"), [(SIGNERS, False), (SIGNERS[:1], True), ((), True)], ids=str
)
def test_everybody_whom_the_plan_lists_has_signed(
    signers: Sequence[tuple[str, str]], refused: bool
) -> None:
    reason = answer(guards_acceptance.all_signed, *signers)

    assert (reason is not None) is refused
    if reason:
        assert "用户" in reason.message
        assert reason.missing == ("signer",)


@pytest.mark.parametrize(
    ("documents", "files", "refused"),
    [(DOCUMENTS, FILES, False), ((), FILES, True), (DOCUMENTS, ("kang.jpg",), True)],
    ids=["there", "not named", "not attached"],
)
def test_every_document_is_named_and_attached(
    documents: Sequence[tuple[str, str]], files: Sequence[str], refused: bool
) -> None:
    reason = answer(guards_acceptance.dossier_complete, *documents, files=files)

    assert (reason is not None) is refused
    if reason:
        assert reason.missing == ("document",)


@pytest.mark.parametrize(
    ("path", "signers"),
    [(Path.CENTRAL_HEATING, ("燃气公司", "用户")), (Path.BIOMASS, ("用户",))],
)
def test_what_is_asked_for_is_what_the_plan_lists_for_the_path(
    path: Path, signers: tuple[str, ...]
) -> None:
    assert XIAOXIAN.acceptance_of(path, Kind.COLLECTIVE, Life().facts().area).signers == signers

    reason = answer(guards_acceptance.all_signed, life=Life(path, kind=Kind.COLLECTIVE))

    assert reason is not None
    assert "、".join(signers) in reason.message


# The old facility, seen


def test_an_old_facility_that_stands_is_shown_by_its_photo() -> None:
    assert answer(guards_acceptance.facilities_seen, *SEEN) is None

    without_photo = answer(guards_acceptance.facilities_seen, *SEEN, files=())

    assert without_photo is not None
    assert (without_photo.clause, without_photo.missing) == ("通知 四", ("facility",))


def test_each_old_facility_is_seen() -> None:
    life = Life()
    life.confirm(date(2024, 2, 1), old_facility=["kang:in_use", "stove:standby"])

    reason = answer(guards_acceptance.facilities_seen, *SEEN, life=life)

    assert reason is not None
    assert "暖炉" in reason.message


def test_nothing_said_of_the_old_facility_is_not_none() -> None:
    assert answer(guards_acceptance.facilities_seen, life=Life()) is not None
    assert answer(guards_acceptance.facilities_seen, ("facility", "none"), life=Life()) is None


@pytest.mark.parametrize("also", [(), SEEN], ids=["known one", "seen one"])
def test_none_is_not_said_where_there_is_one(also: Sequence[tuple[str, str]]) -> None:
    life = Life() if also else Life().to_acceptance()

    assert answer(guards_acceptance.facilities_seen, ("facility", "none"), *also, life=life)


def test_what_is_on_record_as_removed_is_not_seen_standing() -> None:
    assert answer(guards_acceptance.facilities_seen, *SEEN, life=gone()) is not None
    assert answer(guards_acceptance.facilities_seen, *SEEN, life=gone("sealed")) is None


def test_a_facility_gone_names_its_violation_which_stays_open() -> None:
    life, violation = violated()

    named = answer(
        guards_acceptance.facilities_seen, ("facility", f"kang:gone:{violation}"), life=life
    )
    life.accept(TODAY, facility=[f"kang:gone:{violation}"])

    assert named is None
    assert [matter.seq for matter in life.facts().open_matters] == [violation]
    assert life.facts().facility_gone


def test_a_facility_gone_names_no_other_event() -> None:
    life, _ = violated()
    complaint = life.fact(FactKind.COMPLAINT, TODAY - DAY, what="x")

    for event in (complaint, 999):
        assert answer(
            guards_acceptance.facilities_seen, ("facility", f"kang:gone:{event}"), life=life
        )


@pytest.mark.parametrize(("outcome", "refused"), [("resolved", False), ("unfounded", True)])
def test_an_unfounded_violation_explains_no_facility_that_is_gone(
    outcome: str, refused: bool
) -> None:
    life, violation = violated()
    life.fact(FactKind.RESOLVE, TODAY, id=violation, outcome=outcome)

    reason = answer(
        guards_acceptance.facilities_seen, ("facility", f"kang:gone:{violation}"), life=life
    )

    assert (reason is not None) is refused


PERMITTED = date(2024, 6, 10)


def replaced(removed_on: date | None) -> tuple[Life, int]:
    """A case permitted on 10 June and replaced on the 20th, in 验收 again; the permission's id."""
    life = Life().to_stable(date(2024, 6, 5))
    permission = life.step(Trigger.PERMIT, PERMITTED)
    life.step(Trigger.REPLACE, date(2024, 6, 20), findings="x", put_right_by=TODAY)
    life.complete(date(2024, 6, 25))
    return (gone(on=removed_on, life=life) if removed_on else life), permission


@pytest.mark.parametrize(
    ("removed_on", "refused"),
    [
        (PERMITTED - DAY, True),
        (PERMITTED, False),
        (date(2024, 6, 19), False),
        (date(2024, 6, 20), True),
        (None, True),
    ],
    ids=str,
)
def test_a_lawful_removal_names_the_permission_in_force_on_its_day(
    removed_on: date | None, refused: bool
) -> None:
    life, permission = replaced(removed_on)

    reason = answer(
        guards_acceptance.facilities_seen, ("facility", f"kang:removed:{permission}"), life=life
    )

    assert (reason is not None) is refused


def test_a_facility_on_record_as_sealed_was_not_removed() -> None:
    life, permission = replaced(None)
    gone("sealed", date(2024, 6, 15), life)

    assert answer(
        guards_acceptance.facilities_seen, ("facility", f"kang:removed:{permission}"), life=life
    )


def test_a_removal_while_the_permission_was_suspended_is_not_lawful() -> None:
    life, permission = replaced(date(2024, 6, 15))
    life.fact(FactKind.COMPLAINT, date(2024, 6, 12), what="x")

    assert answer(
        guards_acceptance.facilities_seen, ("facility", f"kang:removed:{permission}"), life=life
    )


def test_a_removal_names_a_permission_and_nothing_else() -> None:
    life, permission = replaced(date(2024, 6, 15))

    assert answer(
        guards_acceptance.facilities_seen, ("facility", f"kang:removed:{permission - 1}"), life=life
    )


# Who accepts


@pytest.mark.parametrize(("person", "refused"), [("wang", True), ("zhao", False)])
def test_who_recorded_the_works_does_not_accept_them_under_any_login(
    person: str, refused: bool
) -> None:
    asked = question(
        Life().to_acceptance().facts(),
        Trigger.ACCEPT,
        TODAY,
        actor=officer(Role.ACCEPTOR, person, login="second-login"),
    )

    reason = guards_acceptance.accepted_by_another(asked)

    assert (reason is not None) is refused
    if reason:
        assert (reason.guard, reason.who, reason.earliest) == ("separation", Role.ACCEPTOR, TODAY)


def test_who_recorded_a_part_of_the_works_does_not_accept_them_either() -> None:
    life = Life().to_construction()
    life.fact(FactKind.WORKS, date(2024, 5, 1), person="sun", started_on=date(2024, 5, 1))
    life.complete(date(2024, 6, 1))
    asked = question(life.facts(), Trigger.ACCEPT, TODAY, actor=officer(Role.ACCEPTOR, "sun"))

    assert guards_acceptance.accepted_by_another(asked)


def test_asked_for_anybody_nobody_is_in_the_way() -> None:
    asked = question(Life().to_acceptance().facts(), Trigger.ACCEPT, TODAY)

    assert guards_acceptance.accepted_by_another(asked) is None


# What a way back says


@pytest.mark.parametrize("trigger", [Trigger.REJECT, Trigger.OVERTURN, Trigger.REPLACE])
@pytest.mark.parametrize(
    ("pairs", "missing"),
    [
        ((("findings", "x"), ("put_right_by", "2024-07-01")), None),
        ((("findings", "x"), ("put_right_by", "2024-06-30")), ("put_right_by",)),
        ((("findings", "x"),), ("put_right_by",)),
        ((), ("findings", "put_right_by")),
    ],
    ids=["today", "yesterday", "no date", "nothing"],
)
def test_a_way_back_says_what_was_found_and_until_when_it_is_put_right(
    trigger: Trigger, pairs: Sequence[tuple[str, str]], missing: tuple[str, ...] | None
) -> None:
    reason = answer(guards_acceptance.put_right_dated, *pairs, trigger=trigger)

    assert (reason.missing if reason else None) == missing


def test_what_was_found_is_asked_for_before_the_date_is_judged() -> None:
    yesterday = ("put_right_by", "2024-06-30")

    reason = answer(guards_acceptance.put_right_dated, yesterday, trigger=Trigger.REJECT)

    assert reason is not None
    assert reason.missing == ("findings",)


# Each refusal, in whole

G, A = guards_acceptance, Role.ACCEPTOR
ACCEPTANCE, OLD = "通知 五（三）", "通知 四"
DATED = (("findings", "x"), ("put_right_by", "2024-06-30"))
NONE_SAID = (("facility", "none"),)
TOLD: list[tuple[Guard, Trigger, Sequence[tuple[str, str]], Reason]] = [
    (
        G.put_right_dated,
        Trigger.REJECT,
        (),
        Reason(
            "put_right_dated",
            ACCEPTANCE,
            "问题（findings） 整改期限（put_right_by）",
            ("findings", "put_right_by"),
            A,
            TODAY,
        ),
    ),
    (
        G.put_right_dated,
        Trigger.REJECT,
        DATED,
        Reason("put_right_dated", ACCEPTANCE, "2024-06-30 2024-07-01", ("put_right_by",), A, TODAY),
    ),
    (
        G.all_items_pass,
        Trigger.ACCEPT,
        (("item", "接地:fail"),),
        Reason("all_items_pass", ACCEPTANCE, "通电试运行；不合格：接地", ("item",), A, TODAY),
    ),
    (
        G.all_signed,
        Trigger.ACCEPT,
        (),
        Reason("all_signed", ACCEPTANCE, "村委会、用户", ("signer",), A, TODAY),
    ),
    (
        G.dossier_complete,
        Trigger.ACCEPT,
        (),
        Reason("dossier_complete", ACCEPTANCE, "验收表", ("document",), A, TODAY),
    ),
    (
        G.dossier_complete,
        Trigger.ACCEPT,
        (("document", "验收表:none.pdf"),),
        Reason(
            "attached",
            "设计 3",
            "document none.pdf",
            ("document",),
            Role.UNIT_OFFICER,
            TODAY,
        ),
    ),
    (
        G.facilities_seen,
        Trigger.ACCEPT,
        (),
        Reason("facilities_seen", OLD, "facility none", ("facility",), A, TODAY),
    ),
    (
        G.facilities_seen,
        Trigger.ACCEPT,
        NONE_SAID,
        Reason("facilities_seen", OLD, "登记有原设施：火炕", ("facility",), A, TODAY),
    ),
    (
        G.facilities_seen,
        Trigger.ACCEPT,
        (("facility", "stove:present:kang.jpg"),),
        Reason("facilities_seen", OLD, "没有写明现状的原设施：火炕", ("facility",), A, TODAY),
    ),
    (
        G.facilities_seen,
        Trigger.ACCEPT,
        (("facility", "kang:removed:99"), ("facility", "stove:gone:98")),
        Reason("facilities_seen", OLD, "火炕 99 ； 暖炉 98", ("facility",), A, TODAY),
    ),
]


@pytest.mark.parametrize(("guard", "trigger", "pairs", "expected"), TOLD)
def test_a_refusal_says_guard_clause_what_is_missing_who_can_put_it_right_and_when(
    guard: Guard, trigger: Trigger, pairs: Sequence[tuple[str, str]], expected: Reason
) -> None:
    check_told(answer(guard, *pairs, trigger=trigger), expected)


def test_the_separation_of_persons_is_told_in_whole() -> None:
    recorder = officer(Role.ACCEPTOR, "wang")
    asked = question(Life().to_acceptance().facts(), Trigger.ACCEPT, TODAY, actor=recorder)

    check_told(
        guards_acceptance.accepted_by_another(asked),
        Reason("separation", "设计 3（职责分离）", "另一名验收人员", (), A, TODAY),
    )
