"""What the independent audit says of keys, signatures, checkpoints, receipts and quarantines."""

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from bundles import (
    CODE,
    PERMIT_DAY,
    Line,
    Signer,
    Step,
    base64_of,
    events,
    integrity,
    length_prefixed,
    letter,
    make,
    make_plan,
    revised,
    row,
    story,
    tree_of,
)

from workflow import verify

SUN, WANG, ZHANG, LIN = Signer("sun"), Signer("wang"), Signer("zhang"), Signer("lin")
WITNESS = Signer("xinzhou")
BEGINNING = 11  # the database, the plan, nine officers


def key_added(signer: Signer, login: object = None, on: str = "2023-05-19", **over: object) -> Step:
    evidence = {"login": login or signer.name, "key": signer.line, "valid_until": None, **over}
    return Step("key_added", on, "zhang", evidence, stream="officers")


def key_revoked(signer: Signer, on: str, login: str = "") -> Step:
    evidence = {"login": login or signer.name, "key": signer.line}
    return Step("key_revoked", on, "zhang", evidence, stream="officers")


def signed_by_all(*extra: Step, plan: Line | None = None, drill: bool = True) -> list[Line]:
    """A household of whose every event somebody with a key stands."""
    lines = make(
        *story(key_added(SUN), key_added(WANG), key_added(ZHANG), *extra), plan=plan, drill=drill
    )
    for place, signer in enumerate((SUN, WANG, ZHANG), BEGINNING + 1):
        signer.sign(lines, after=place if signer is not ZHANG else BEGINNING + 3)
    return lines


def told(lines: list[Line]) -> list[str]:
    return [one.message for one in verify.examine(lines).integrity]


def found(lines: list[Line]) -> list[tuple[str, int | None]]:
    return [(one.code, one.seq) for one in verify.examine(lines).integrity]


# ---------------------------------------------------------------- signatures


def test_a_household_whose_every_event_is_signed_is_graded_so() -> None:
    report = verify.examine(signed_by_all())

    assert (report.integrity, report.removal) == ((), ())
    assert report.grades == {CODE: "signed"}
    assert report.proof == {"witnessed": 0, "signed": 1, "clock_only": 0}
    assert report.signatures_checked


def test_a_household_nobody_signed_for_rests_on_the_clock() -> None:
    assert verify.examine(make()).grades == {CODE: "clock_only"}


def test_one_event_that_nobody_signed_makes_the_grade() -> None:
    pause = Step("pause", "2024-05-01", "zhao", {"cause": "weather"})

    assert verify.examine(signed_by_all(pause)).grades == {CODE: "clock_only"}


def test_who_has_a_key_signs_everything() -> None:
    lines = signed_by_all()
    events(lines)[20]["signature"] = None

    assert found(lines) == [("signature_missing", 21)]
    assert verify.examine(lines).grades == {}


def test_a_fault_of_one_household_does_not_take_the_grade_of_another() -> None:
    other = [replace(step, stream="case:103-0002") for step in story(permit=None)]
    lines = make(*sorted([*story(), *other], key=lambda step: step.recorded_at))
    row(lines, "case")["village"] = "西会村"

    assert verify.examine(lines).grades == {"103-0002": "clock_only"}


def bent(blob: str, place: int) -> str:
    data = bytearray(base64.b64decode(blob))
    data[place] ^= 1
    return base64_of(bytes(data))


@pytest.mark.parametrize("place", [0, 6, 9, 14, 20, 40, 70, 81, 90, 100, 110, 120, 140, -1])
def test_a_signature_with_one_bit_bent_is_found(place: int) -> None:
    lines = signed_by_all()
    line = events(lines)[20]
    line["signature"] = bent(str(line["signature"]), place)

    assert found(lines) == [("signature_invalid", 21)]


@pytest.mark.parametrize("written", ["", "x", 3, [], "U1NIU0lH", "签名"])
def test_what_is_no_signature_is_found(written: object) -> None:
    lines = signed_by_all()
    events(lines)[20]["signature"] = written

    assert found(lines) == [("signature_invalid", 21)]


def test_a_signature_is_spelled_in_one_way_only() -> None:
    lines = signed_by_all()
    line = events(lines)[20]
    for other in (f"{line['signature']}\n", f" {line['signature']}"):
        line["signature"] = other

        assert found(lines) == [("signature_invalid", 21)]


@pytest.mark.parametrize(
    ("signer", "space"),
    [
        pytest.param(WANG, "xianli-event@v1", id="a real county's"),
        pytest.param(WANG, "file", id="another purpose's"),
        pytest.param(ZHANG, "xianli-drill@v1", id="another officer's"),
        pytest.param(LIN, "xianli-drill@v1", id="nobody's"),
    ],
)
def test_another_signature_is_not_the_officers(signer: Signer, space: str) -> None:
    lines = signed_by_all()
    line = events(lines)[20]
    assert json.loads(str(line["bytes"]))["actor"] == "wang"
    line["signature"] = signer.signature(str(line["bytes"]), space)

    assert found(lines) == [("signature_invalid", 21)]


def test_a_signature_of_another_event_is_not_of_this_one() -> None:
    lines = signed_by_all()
    events(lines)[20]["signature"] = events(lines)[21]["signature"]

    assert found(lines) == [("signature_invalid", 21)]


def test_a_real_county_signs_in_its_own_namespace() -> None:
    lines = make(*story(key_added(WANG)), drill=False)
    for line in events(lines)[BEGINNING + 1 :]:
        if json.loads(str(line["bytes"]))["actor"] == "wang":
            line["signature"] = WANG.signature(str(line["bytes"]), "xianli-event@v1")

    assert found(lines) == []


def test_who_has_no_key_signs_nothing() -> None:
    lines = make()
    WANG.sign(lines)

    assert integrity(lines) == {"signature_invalid"}


@pytest.mark.parametrize(
    ("until", "wrong"), [("2023-06-10", False), ("2023-06-09", True), (None, False)]
)
def test_a_key_serves_until_its_last_day(until: str | None, wrong: bool) -> None:
    steps = story()[:3]
    lines = make(key_added(WANG, valid_until=until), *steps)
    WANG.sign(lines, after=BEGINNING + 1)
    assert steps[-1].on == "2023-06-10"

    assert found(lines) == ([("signature_invalid", 15)] if wrong else [])


def test_a_key_revoked_signs_no_more_and_its_officer_neither() -> None:
    visit = Step("pause", "2024-05-02", evidence={"cause": "grid"})
    lines = make(*story(key_added(WANG), key_revoked(WANG, "2024-05-01"), visit))
    WANG.sign(lines, after=BEGINNING + 1)
    last = events(lines)[-1]

    assert found(lines) == [("signature_invalid", last["seq"])]

    last["signature"] = None
    assert found(lines) == []


def test_the_revocation_of_ones_own_key_is_signed_with_it() -> None:
    lines = make(*story(key_added(ZHANG), key_revoked(ZHANG, "2024-05-01")))
    ZHANG.sign(lines, after=BEGINNING + 1)
    assert found(lines) == []

    events(lines)[-1]["signature"] = None
    assert found(lines) == [("signature_missing", events(lines)[-1]["seq"])]


def test_another_key_may_follow_a_revoked_one_and_never_the_same() -> None:
    new = Signer("wang's second")
    revoked = key_revoked(WANG, "2024-05-01")
    lines = make(*story(key_added(WANG), revoked, key_added(new, "wang", "2024-05-02")))
    WANG.sign(lines, after=BEGINNING + 1)
    assert found(lines) == []

    again = make(*story(key_added(WANG), revoked, key_added(WANG, on="2024-05-02")))
    WANG.sign(again, after=BEGINNING + 1)
    assert "key_conflict" in integrity(again)


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (key_added(LIN, "wang", "2024-05-01"), "key_conflict"),
        (key_added(WANG, "lin", "2024-05-01"), "key_conflict"),
        (key_added(LIN, "nobody", "2024-05-01"), "evidence_malformed"),
        (key_added(LIN, 3, "2024-05-01"), "evidence_malformed"),
        (key_added(LIN, on="2024-05-01", valid_until="soon"), "evidence_malformed"),
        (key_added(LIN, on="2024-05-01", key=None), "evidence_malformed"),
        (key_added(LIN, on="2024-05-01", key="ssh-rsa AAAA"), "evidence_malformed"),
        (key_added(LIN, on="2024-05-01", key=f"{LIN.line} li"), "evidence_malformed"),
        (key_added(LIN, on="2024-05-01", key=LIN.line.replace("ssh-", "")), "evidence_malformed"),
        (key_added(LIN, on="2024-05-01", key=LIN.line[:-4]), "evidence_malformed"),
        (key_revoked(WANG, "2024-05-01", "lin"), "key_conflict"),
        (key_revoked(LIN, "2024-05-01"), "key_conflict"),
        (key_revoked(LIN, "2024-05-01", "wang"), "key_conflict"),
    ],
)
def test_the_register_of_keys_takes_a_key_once_and_a_login_one(step: Step, code: str) -> None:
    lines = make(*story(key_added(WANG), step))
    WANG.sign(lines, after=BEGINNING + 1)
    lines = [line for line in lines if line["type"] != "key" or line["key"] == WANG.line]
    row(lines, "key").update(login="wang", added_seq=BEGINNING + 1, revoked_seq=None)

    assert found(lines) == [(code, events(lines)[-1]["seq"])]


@pytest.mark.parametrize(
    "key",
    [
        length_prefixed(b"ssh-rsa", LIN.raw),
        length_prefixed(b"ssh-ed25519", LIN.raw[:31]),
        length_prefixed(b"ssh-ed25519", LIN.raw, b""),
        length_prefixed(b"ssh-ed25519", LIN.raw) + b"\0",
        length_prefixed(b"ssh-ed25519", LIN.raw)[:-1],
    ],
)
def test_a_key_is_one_of_ed25519_and_nothing_behind_it(key: bytes) -> None:
    step = key_added(LIN, on="2024-05-01", key=f"ssh-ed25519 {base64_of(key)}")
    lines = make(*story(step))

    assert found([line for line in lines if line["type"] != "key"]) == [("evidence_malformed", 23)]


@pytest.mark.parametrize("column", ["key", "login", "added_seq", "valid_until", "revoked_seq"])
def test_each_column_of_the_keys_is_recomputed(column: str) -> None:
    lines = make(*story(key_added(WANG, on=PERMIT_DAY, valid_until="2025-01-01")))
    assert found(lines) == []
    row(lines, "key")[column] = "other"

    assert integrity(lines) == {"projection_differs"}


# ---------------------------------------------------------------- what the plan wants signed


def wanting(*kinds: object) -> Line:
    return make_plan(None, signatures={"value": list(kinds), "verified": False})


@pytest.mark.parametrize(
    ("plan", "missing"),
    [
        (wanting("permit"), ["permit"]),
        (wanting("accept", "permit", "revoke"), ["accept", "permit"]),
        (wanting("officer_added", "gate_opened"), []),
        (wanting(), []),
        (make_plan(), []),
    ],
)
def test_what_the_plan_wants_signed_is_signed(plan: Line, missing: list[str]) -> None:
    gate: Line = {"unit": "103", "village": "a", "kind": "grid", "opened_on": "2023-05-20"}
    opened = Step("gate_opened", "2023-05-20", "zhang", gate, stream="gates")
    lines = make(*story(opened), plan=plan)
    named = {line["seq"]: json.loads(str(line["bytes"]))["kind"] for line in events(lines)}

    kinds = [(code, named[seq]) for code, seq in found(lines)]

    assert kinds == [("signature_missing", kind) for kind in missing]


def test_where_all_is_to_be_signed_only_the_beginning_is_excused() -> None:
    plan = wanting("all")
    # The plan counts from the event after its own; the officers, and the first key, come before
    # anybody has one. The program itself signs nothing.
    lines = make(
        *story(key_added(SUN), key_added(WANG), key_added(ZHANG), letter(1, "2024-05-01")),
        plan=plan,
    )
    for signer, seq in ((SUN, 12), (WANG, 13), (ZHANG, 14)):
        signer.sign(lines, after=seq)
    assert found(lines) == [("signature_missing", 13), ("signature_missing", 14)]

    catalogue = Step("catalogue_imported", "2023-05-19", "lin", {"rows": []}, stream="catalogue")
    assert found(make(catalogue, plan=plan)) == [("signature_missing", 12)]


@pytest.mark.parametrize("odd", [3, {"value": 3}, {}, {"value": [3]}])
def test_a_policy_that_cannot_be_read_is_a_finding(odd: object) -> None:
    plan = make_plan()
    assert isinstance(plan["rules"], dict)
    plan["rules"]["signatures"] = odd

    assert found(make(plan=plan)) == [("plan_malformed", 2)]


# ---------------------------------------------------------------- a Python without cryptography


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without `cryptography`."""
    monkeypatch.setattr(verify, "CAN_CHECK_SIGNATURES", False)
    monkeypatch.delattr(verify, "Ed25519PublicKey")
    monkeypatch.delattr(verify, "InvalidSignature")


@pytest.mark.usefixtures("bare")
def test_where_signatures_cannot_be_checked_the_report_says_so() -> None:
    lines = signed_by_all()

    report = verify.examine(lines)

    assert (report.integrity, report.signatures_checked) == ((), False)
    assert report.grades == {CODE: "clock_only"}
    assert "签名未核对" in verify.as_text(report)
    assert "签名未核对" not in verify.as_text(verify.examine(make()))
    assert json.loads(verify.as_json(report))["signatures_checked"] is False


# ---------------------------------------------------------------- checkpoints


def checkpoint(lines: list[Line], **over: object) -> Step:
    origin, size, root = tree_of(lines)
    evidence = {"origin": origin, "size": size, "root": root, **over}
    return Step(
        "checkpoint_made", "2024-05-01", "system", evidence,
        stream="checkpoints", over={"role": "system"},
    )  # fmt: skip


@pytest.mark.parametrize("drill", [True, False])
@pytest.mark.parametrize("count", range(1, 9))
def test_a_checkpoint_is_the_tree_of_all_events_before_it(count: int, drill: bool) -> None:
    steps = story()[:count]

    assert found(make(*steps, checkpoint(make(*steps, drill=drill)), drill=drill)) == []


@pytest.mark.parametrize(
    "over",
    [{"origin": "xianli/tiny/0123456789abcdef"}, {"size": 21}, {"root": "x"}, {"size": "22"}],
)
def test_a_checkpoint_that_says_otherwise_is_found(over: Line) -> None:
    lines = make(*story(), checkpoint(make(), **over))

    assert found(lines) == [("checkpoint_differs", 23)]


def test_only_the_program_makes_checkpoints() -> None:
    step = checkpoint(make())

    assert integrity(make(*story(), replace(step, by="zhang", over={}))) == {"role_not_allowed"}


# ---------------------------------------------------------------- receipts


def witness_added(on: str = "2023-05-19", signer: Signer = WITNESS) -> Step:
    evidence = {"name": signer.name, "key": signer.witness_line}
    return Step("witness_added", on, "zhang", evidence, stream="witnesses")


def witness_revoked(on: str) -> Step:
    return replace(witness_added(on), kind="witness_revoked")


def witnessed(*extra: Step) -> list[Line]:
    return make(*story(witness_added(), *extra))


def with_receipt(lines: list[Line], *notes: object) -> list[Line]:
    return [lines[0], *({"type": "receipt", "note": note} for note in notes), *lines[1:]]


def test_what_a_witness_saw_is_witnessed() -> None:
    lines = witnessed()
    receipt = WITNESS.receipt(*tree_of(lines))

    report = verify.examine(with_receipt(lines, receipt))

    assert report.integrity == ()
    assert report.grades == {CODE: "witnessed"}
    assert report.witnesses == (WITNESS.witness_line,)
    assert verify.examine(lines, [receipt]).grades == {CODE: "witnessed"}


@pytest.mark.parametrize("size", range(1, 24))
def test_the_last_event_of_a_household_makes_the_grade(size: int) -> None:
    lines = witnessed()
    receipt = WITNESS.receipt(*tree_of(lines, size))

    report = verify.examine(lines, [receipt])

    assert report.integrity == ()
    assert report.grades == {CODE: "witnessed" if size == 23 else "clock_only"}


def test_of_several_receipts_the_largest_counts() -> None:
    lines = witnessed()
    receipts = [WITNESS.receipt(*tree_of(lines, size)) for size in (3, 23, 7)]

    assert verify.examine(lines, receipts).grades == {CODE: "witnessed"}


def test_what_was_signed_after_the_receipt_is_signed() -> None:
    lines = make(*story(witness_added(), key_added(ZHANG, on="2024-04-19")))
    ZHANG.sign(lines, after=23)
    receipt = WITNESS.receipt(*tree_of(lines, 23))

    report = verify.examine(lines, [receipt])

    assert (report.integrity, report.grades) == ((), {CODE: "signed"})


def test_a_receipt_over_nothing_covers_nothing() -> None:
    lines = witnessed()
    receipt = WITNESS.receipt(tree_of(lines)[0], 0, base64_of(hashlib.sha256().digest()))

    report = verify.examine(lines, [receipt])

    assert (report.integrity, report.grades) == ((), {CODE: "clock_only"})


def test_a_journal_changed_after_the_witness_saw_it_is_found() -> None:
    receipt = WITNESS.receipt(*tree_of(witnessed()))
    visit = Step("visit", "2023-12-01", evidence={"temperature": "21.5"}, label="visit_1")

    lines = make(*story(witness_added(), visit_1=visit))
    assert found(with_receipt(lines, receipt)) == [("receipt_differs", 23)]

    cut = make(*story(witness_added(), permit=None))
    assert found(with_receipt(cut, receipt)) == [("receipt_differs", None)]


def test_a_receipt_of_another_journal_is_none_of_this() -> None:
    lines = witnessed()
    origin, size, root = tree_of(lines)

    assert found(with_receipt(lines, WITNESS.receipt(f"{origin}0", size, root))) == [
        ("receipt_invalid", None)
    ]


def test_only_a_registered_witness_gives_receipts() -> None:
    lines = witnessed()
    other = Signer("nobody")
    forged = Signer("forged")
    forged.name = WITNESS.name

    for signer in (other, forged):
        assert found(with_receipt(lines, signer.receipt(*tree_of(lines)))) == [
            ("receipt_invalid", None)
        ]


def test_the_receipts_of_a_revoked_witness_count_no_longer() -> None:
    lines = witnessed(witness_revoked("2024-05-01"))
    receipt = WITNESS.receipt(*tree_of(lines, 20))

    report = verify.examine(lines, [receipt])

    assert [one.code for one in report.integrity] == ["receipt_invalid"]
    assert report.witnesses == ()


def test_one_good_signature_among_others_is_enough() -> None:
    lines = witnessed()
    other = Signer("bank")
    mine = WITNESS.receipt(*tree_of(lines))
    both = mine + other.receipt(*tree_of(lines)).rpartition("\n\n")[2]
    turned = both.splitlines()
    turned[-1], turned[-2] = turned[-2], turned[-1]

    for note in (both, "\n".join(turned) + "\n"):
        assert verify.examine(lines, [note]).grades == {CODE: "witnessed"}


def test_of_two_registered_witnesses_one_good_signature_is_enough() -> None:
    bank = Signer("bank")
    lines = witnessed(witness_added("2023-05-20", bank))
    good, other = (one.receipt(*tree_of(lines)) for one in (WITNESS, bank))
    name, _, written = other.rstrip("\n").rpartition(" ")
    broken = f"{name.rpartition(chr(10))[2]} {bent(written, 40)}\n"

    for note in (good + broken, good.replace("\u2014", f"{broken}\u2014", 1)):
        report = verify.examine(lines, [note])
        assert (report.integrity, report.grades) == ((), {CODE: "witnessed"})


def test_signatures_are_part_of_what_the_witness_saw() -> None:
    lines = signed_by_all(witness_added())
    ZHANG.sign(lines, after=BEGINNING + 3)
    receipt = WITNESS.receipt(*tree_of(lines))
    assert verify.examine(lines, [receipt]).grades == {CODE: "witnessed"}

    # Ed25519 signs the same in the same way: another signature is another framing of it.
    events(lines)[20]["signature"] = None
    assert ("receipt_differs", 26) in found(with_receipt(lines, receipt))


def test_two_witnesses_are_both_named() -> None:
    bank = Signer("bank")
    lines = witnessed(witness_added("2023-05-20", bank))

    report = verify.examine(lines)

    assert report.witnesses == (bank.witness_line, WITNESS.witness_line)


def test_the_whole_key_of_a_witness_is_shown_to_be_compared() -> None:
    names = (f"the witness with the long name and number {place:05}" for place in range(1000))
    signers = (Signer(name) for name in names)
    signer = next(one for one in signers if one.witness_line.count("+") > 2)

    shown = verify.as_text(verify.examine(make(*story(witness_added(signer=signer)))))

    assert f"见证人（请与其本人核对公钥）：{signer.witness_line}" in shown.splitlines()


@pytest.mark.parametrize("place", [0, 3, 4, 11, 12, 40, 75])
def test_a_receipt_with_one_bit_bent_is_found(place: int) -> None:
    lines = witnessed()
    body, _, written = WITNESS.receipt(*tree_of(lines)).rstrip("\n").rpartition(" ")

    assert found(with_receipt(lines, f"{body} {bent(written, place)}\n")) == [
        ("receipt_invalid", None)
    ]


def test_what_is_no_receipt_is_found() -> None:
    lines = witnessed()
    origin, size, root = tree_of(lines)
    good = WITNESS.receipt(origin, size, root)
    body, _, signed = good.partition("\n\n")
    written = signed.rstrip("\n").rpartition(" ")[2]
    wrong = (
        None,
        "",
        3,
        "x",
        f"{origin}\n{size}\n\n{signed}",
        good.replace("\u2014", "-"),
        good.replace(f"\n{size}\n", f"\n0{size}\n"),
        good.replace(f"\n{size}\n", "\nmany\n"),
        good.replace(root, f"{root}A"),
        good.replace(root, base64_of(b"short")),
        f"{body}\n\n\u2014 xinzhou\n",
        f"{origin} {size} {root}\n\n{signed}",
        f"{body}\n\n\u2014\txinzhou\t{written}\n",
        f"{body}\n\n\u2014 xinzhou {written} {written}\n",
        f"{body}\n\n\u2014 xinzhou ????\n",
    )
    for note in wrong:
        assert told(with_receipt(lines, note)) == ["见证回执读不出"], note


def test_a_cosignature_is_as_long_as_one() -> None:
    lines = witnessed()
    body, _, written = WITNESS.receipt(*tree_of(lines)).rstrip("\n").rpartition(" ")
    whole = base64.b64decode(written)

    for part in (whole[:-1], whole + b"x", whole[:4], whole[:12], whole[:3]):
        assert found(with_receipt(lines, f"{body} {base64_of(part)}\n")) == [
            ("receipt_invalid", None)
        ]


def test_a_receipt_stands_before_the_events() -> None:
    lines = witnessed()
    late: Line = {"type": "receipt", "note": WITNESS.receipt(*tree_of(lines))}

    assert found([*lines, late]) == [("line_malformed", None)]


def test_lines_of_a_receipt_that_are_no_part_of_ours_are_signed_with_the_rest() -> None:
    lines = witnessed()
    origin, size, root = tree_of(lines)
    extended = WITNESS.receipt(origin, size, f"{root}\nextension")

    assert verify.examine(lines, [extended]).grades == {CODE: "witnessed"}


@pytest.mark.usefixtures("bare")
def test_without_cryptography_a_receipt_is_compared_and_does_not_raise_the_grade() -> None:
    lines = witnessed()
    receipt = WITNESS.receipt(*tree_of(lines))

    report = verify.examine(lines, [receipt])
    assert (report.integrity, report.signatures_checked) == ((), False)
    assert report.grades == {CODE: "clock_only"}

    other = WITNESS.receipt(tree_of(lines)[0], 23, base64_of(bytes(32)))
    assert found(with_receipt(lines, other)) == [("receipt_differs", 23)]


@pytest.mark.parametrize(
    "line",
    [
        None,
        "xinzhou",
        WITNESS.witness_line.replace("xinzhou", "other"),
        f"xinzhou+00000000+{WITNESS.witness_line.rpartition('+')[2]}",
        WITNESS.witness_line[:-4],
        Signer("xinzhou").witness_line.replace("BP", "AP", 1),
        f"xinzhou+{WITNESS.key_id.hex()}+{base64_of(bytes([4]) + WITNESS.raw + b'x')}",
    ],
)
def test_a_witness_has_a_readable_key(line: object) -> None:
    step = replace(witness_added("2024-05-01"), evidence={"name": "xinzhou", "key": line})
    valid = isinstance(line, str) and line == WITNESS.witness_line

    assert found(make(*story(step))) == ([] if valid else [("evidence_malformed", 23)])


@pytest.mark.parametrize(
    "blob",
    [
        b"\1" + WITNESS.raw,
        b"\6" + WITNESS.raw,
        b"\4" + WITNESS.raw + b"x",
        b"\4" + WITNESS.raw[:-1],
    ],
)
def test_a_witness_signs_cosignatures_and_nothing_else(blob: bytes) -> None:
    key_id = hashlib.sha256(b"xinzhou\n" + blob).digest()[:4]
    key = f"xinzhou+{key_id.hex()}+{base64_of(blob)}"
    step = replace(witness_added("2024-05-01"), evidence={"name": "xinzhou", "key": key})

    assert found(make(*story(step))) == [("evidence_malformed", 23)]


def test_a_witness_key_may_hold_a_plus() -> None:
    names = (f"witness {place}" for place in range(1000))
    signer = next(
        one for name in names if "+" in (one := Signer(name)).witness_line.split("+", 2)[2]
    )
    signer.name = "witness"
    lines = make(*story(witness_added(signer=signer)))

    report = verify.examine(lines, [signer.receipt(*tree_of(lines))])

    assert (report.integrity, report.grades) == ((), {CODE: "witnessed"})


def test_the_root_of_nothing_is_that_of_the_standard() -> None:
    assert verify.Tree().root() == base64_of(hashlib.sha256().digest())


@pytest.mark.usefixtures("bare")
def test_without_cryptography_what_is_no_signature_is_still_found() -> None:
    lines = signed_by_all()
    line = events(lines)[20]
    data = base64.b64decode(str(line["signature"]))
    inner = length_prefixed(length_prefixed(b"ssh-ed25519", data[-64:-1]))
    at = data.rindex(length_prefixed(b"ssh-ed25519")) - 4
    line["signature"] = base64_of(data[:at] + inner)

    assert found(lines) == [("signature_invalid", 21)]


# ---------------------------------------------------------------- quarantine


def proposed(by: str = "zhang", **over: object) -> Step:
    evidence = {"code": CODE, "fingerprint": "f" * 64, "missing": [], **over}
    return Step("quarantine_proposed", "2024-05-01", by, evidence, stream="quarantine", label="q")


def confirmed(by: str = "he", **over: object) -> Step:
    evidence = {**proposed().evidence, "proposal": "@q", **over}
    return Step("quarantine_confirmed", "2024-05-02", by, evidence, stream="quarantine")


@pytest.mark.parametrize(("one", "other"), [("zhang", "he"), ("he", "zhang"), ("he", "lin")])
def test_county_and_auditor_together_put_a_household_under_quarantine(one: str, other: str) -> None:
    report = verify.examine(make(*story(), proposed(one), confirmed(other)))

    assert (report.integrity, report.quarantined) == ((), (CODE,))
    assert f"已隔离：{CODE}" in verify.as_text(report)
    assert json.loads(verify.as_json(report))["quarantined"] == [CODE]


def test_the_witnesss_own_receipt_is_given_to_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = witnessed()
    bundle, receipt = tmp_path / "bundle", tmp_path / "receipt"
    bundle.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    receipt.write_text(WITNESS.receipt(*tree_of(lines)), encoding="utf-8")

    assert verify.main([str(bundle), "--json", "--receipt", str(receipt)]) == 0

    assert json.loads(capsys.readouterr().out)["proof"]["witnessed"] == 1


def test_a_new_plan_does_not_spend_the_proposal_of_a_quarantine() -> None:
    between = replace(revised(make_plan(outage_days=6)), on="2024-05-01")
    report = verify.examine(make(*story(proposed(), between, confirmed())))

    assert (report.integrity, report.quarantined) == ((), (CODE,))


def test_all_that_is_under_quarantine_is_named_in_order() -> None:
    steps: list[Step] = []
    for code in ("103-0003", CODE, "103-0002"):
        first = replace(proposed(code=code), on="2024-05-02", label=code)
        steps += [first, confirmed(code=code, proposal=f"@{code}")]

    report = verify.examine(make(*story(), *steps))

    assert (report.integrity, report.quarantined) == ((), (CODE, "103-0002", "103-0003"))


def test_one_side_alone_quarantines_nothing() -> None:
    report = verify.examine(make(*story(), proposed()))

    assert (report.integrity, report.quarantined) == ((), ())
    assert "已隔离" not in verify.as_text(report)


@pytest.mark.parametrize(
    ("one", "other", "code"),
    [
        (proposed("zhang"), confirmed("zhang"), "separation"),
        (proposed("zhang"), confirmed("lin"), "separation"),
        (proposed("he"), confirmed("he"), "separation"),
        (proposed(), confirmed("wang"), "role_not_allowed"),
        (proposed("sun"), confirmed(), "role_not_allowed"),
        (proposed(), confirmed(code="103-0002"), "reference_unknown"),
        (proposed(), confirmed(fingerprint="e" * 64), "reference_unknown"),
        (proposed(), confirmed(proposal="22"), "reference_unknown"),
        (proposed(), confirmed(proposal=None), "evidence_malformed"),
        (proposed(), confirmed(code=None), "evidence_malformed"),
        (proposed(fingerprint=None), confirmed(), "evidence_malformed"),
    ],
)
def test_a_quarantine_takes_two_sides_that_say_the_same(one: Step, other: Step, code: str) -> None:
    assert code in integrity(make(*story(), one, other))


def test_two_roles_of_one_person_are_one_side() -> None:
    second: Line = {"login": "he2", "name": "he", "person": "he", "role": "county_office"}
    entered = Step(
        "officer_added", "2024-05-01", "zhang", {**second, "unit": None}, stream="officers"
    )
    lines = make(*story(), entered, proposed("he2"), confirmed("he"))
    own: Line = {"type": "officer", **second, "unit": None, "active": True}
    for line in events(lines)[-3:]:
        assert line["seq"]

    assert "separation" in integrity([*lines, own])


# ---------------------------------------------------------------- what is said


def test_what_is_said_of_receipts() -> None:
    lines = witnessed()
    origin, size, root = tree_of(lines)
    receipts = {
        "x": "见证回执读不出",
        WITNESS.receipt(
            f"{origin}0", size, root
        ): f"见证回执（23 条）是 {origin}0 的，本库是 {origin}",
        Signer("nobody").receipt(origin, 7, root): "见证回执（7 条）没有已登记见证人的签名",
        WITNESS.receipt(origin, 7, root).replace("\n7\n", "\n6\n"): "见证回执（6 条）的签名不对",
        WITNESS.receipt(origin, 24, root): "见证回执（24 条）：日志只有 23 条，此后的被截去",
        WITNESS.receipt(origin, 7, root): "第 7 号事件：见证回执（7 条）：此号及以前有事件被改写",
    }

    for receipt, words in receipts.items():
        assert told(with_receipt(lines, receipt)) == [words]


def test_what_is_said_of_signatures_and_keys() -> None:
    lines = signed_by_all()
    line = events(lines)[20]
    here = f"户 {CODE} 第 21 号事件（施工情况，2023-11-02）："
    for written, words in (
        (None, "wang 登记了公钥，没有签名"),
        ("x", "签名读不出"),
        (ZHANG.signature(str(line["bytes"])), "不是经办人当时登记在用的公钥所签"),
        (WANG.signature("other"), "签名与事件内容不符"),
    ):
        line["signature"] = written
        assert told(lines) == [here + words]

    expired = make(*story()[:1], plan=wanting("registered"))
    assert told(expired) == [
        f"户 {CODE} 第 12 号事件（登记，2023-05-20）：方案要求此项签名，没有签名"
    ]
    late = make(key_added(WANG, valid_until="2023-05-19"), *story()[:1])
    WANG.sign(late)
    assert told(late) == [
        f"户 {CODE} 第 13 号事件（登记，2023-05-20）：公钥有效期到 2023-05-19，已过期"
    ]


def test_what_is_said_of_registers() -> None:
    origin, size, root = tree_of(make())
    for step, words in (
        (checkpoint(make(), size=3), f"（检查点，2024-05-01）：所记为 3 条，树根 {root}"),
        (
            key_added(WANG, "nobody", "2024-05-01"),
            "（登记公钥，2024-05-01）：公钥登记的账号不在名册",
        ),
        (key_revoked(WANG, "2024-05-01"), "（撤销公钥，2024-05-01）：所撤销的不是该账号在用的公钥"),
        (confirmed(proposal="1"), "（确认隔离，2024-05-02）：没有这样提出的隔离"),
    ):
        lines = [line for line in make(*story(), step) if line["type"] != "key"]
        assert told(lines) == [f"第 23 号事件{words}"]
    both = make(*story(), proposed("he"), confirmed("he"))
    words = "隔离须由县级办公室和审计人员两人办理"
    assert told(both) == [f"第 24 号事件（确认隔离，2024-05-02）：{words}"]
    twice = told(make(*story(key_added(WANG), key_added(LIN, "wang"))))
    assert "第 13 号事件（登记公钥，2023-05-19）：wang 已有公钥，或这把公钥已登记过" in twice
    assert (origin[:17], size) == ("xianli/tiny/drill", 22)
