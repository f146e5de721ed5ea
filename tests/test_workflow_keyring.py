"""Who must sign what: the register of keys, the plan's policy, and what reaches the journal."""

import base64
import copy
import json
from datetime import date
from pathlib import Path
from typing import cast

import county
import forms
import keys
import pytest
from county import CODE, CONFIRMED, ONE_DAY, County, every_row
from keys import needs_openssh, register_key, signing_with

from states import plan as plans
from states.errors import CaseError, StepRefused, UsageFault
from states.vocabulary import FactKind, Role, State, Trigger
from workflow import audit, batch, checkpoint, engine, journal, keyring, register, setup, signing
from workflow.engine import Order, Receipt
from workflow.errors import BadFile, Conflict, NotPermitted
from workflow.journal import Draft, Pen
from workflow.signing import FileKey

SPACE = "xianli-drill@v1"


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    made.mkdir()
    return made


def fault(place: County, login: str = "wang", code: str = CODE) -> Receipt:
    return place.advance(code, FactKind.FAULT, CONFIRMED, ("what", "坏"), login=login)


def signatures(place: County, actor: str) -> list[tuple[bytes, str | None]]:
    rows = place.sql("SELECT body, signature FROM journal WHERE actor = ? ORDER BY seq", actor)
    return cast(list[tuple[bytes, str | None]], rows)


def integrity(place: County) -> list[tuple[str, str | None, int | None]]:
    with place.database.reading() as connection:
        found = audit.report(connection).integrity
    return [(one.code, one.case, one.seq) for one in found]


@needs_openssh
def test_everything_an_officer_with_a_key_writes_is_signed_and_ssh_keygen_accepts_it(
    place: County, folder: Path
) -> None:
    key = register_key(place, folder, "wang")
    before = len(signatures(place, "wang"))
    with signing_with(place, key):
        fault(place)
        place.carry_out([county.confirm(CODE), county.heat(CODE)], "wang", CONFIRMED)

    written = signatures(place, "wang")[before:]

    assert len(written) >= 2
    for body, signature in written:
        assert signature is not None
        assert keys.accepted_by_ssh_keygen(folder, key.key, body, signature, SPACE)
        other = body.replace(b'"version":', b'"version":1')
        assert not keys.accepted_by_ssh_keygen(folder, key.key, other, signature, SPACE)
    assert integrity(place) == []


def test_who_has_no_key_writes_unsigned(place: County, folder: Path) -> None:
    register_key(place, folder, "zhao")
    seq = fault(place).seq

    assert place.sql("SELECT signature FROM journal WHERE seq = ?", seq) == [(None,)]


def test_an_officer_with_a_key_who_does_not_sign_is_refused_and_leaves_no_trace(
    place: County, folder: Path
) -> None:
    key = register_key(place, folder, "wang")
    other = register_key(place, folder, "zhao")
    before = every_row(place)
    for wrong in (None, other):
        with signing_with(place, wrong), pytest.raises(NotPermitted) as refused:
            fault(place)

        assert refused.value.code == "signature_needed"
        assert key.key.fingerprint in refused.value.message
        assert "--key-file" in str(refused.value.remedy)
        assert every_row(place) == before


def test_in_a_batch_everything_or_nothing_is_signed(place: County, folder: Path) -> None:
    key = register_key(place, folder, "wang")
    orders = [county.confirm(code) for code in county.TOWN]

    with signing_with(place, key):
        answers = place.carry_out(orders, "wang", CONFIRMED)

    assert all(isinstance(answer, Receipt) for answer in answers)
    assert [signed is None for _, signed in signatures(place, "wang")[-6:]] == [False] * 6


def test_after_the_last_day_of_a_key_its_officer_is_refused(place: County, folder: Path) -> None:
    key = register_key(place, folder, "wang", until=CONFIRMED + ONE_DAY)
    with signing_with(place, key):
        place.advance(CODE, FactKind.FAULT, CONFIRMED + ONE_DAY, ("what", "坏"))
        with pytest.raises(NotPermitted) as refused:
            place.advance(CODE, FactKind.FAULT, CONFIRMED + 2 * ONE_DAY, ("what", "坏"))

    assert refused.value.code == "key_expired"
    assert integrity(place) == []


def revoke(place: County, login: str = "wang", actor: str = "zhang") -> None:
    now = county.noon(CONFIRMED)
    setup.revoke_key(place.database, login, actor=actor, now=now)


def test_a_revoked_key_signs_no_more_and_what_it_signed_stays(place: County, folder: Path) -> None:
    key = register_key(place, folder, "wang")
    with signing_with(place, key):
        fault(place)
    revoke(place)
    with signing_with(place, key):
        seq = fault(place).seq

    assert place.sql("SELECT signature FROM journal WHERE seq = ?", seq) == [(None,)]
    assert integrity(place) == []
    with place.database.reading() as connection:
        [registered] = keyring.all_keys(connection)
        assert keyring.in_use(connection) == {}
    assert registered.revoked_seq == seq - 1


def test_only_the_county_office_registers_and_revokes_keys(place: County, folder: Path) -> None:
    for actor in ("wang", "shen", "zhao"):
        with pytest.raises(NotPermitted):
            register_key(place, folder, "wang", actor=actor)
    register_key(place, folder, "wang")
    with pytest.raises(NotPermitted):
        revoke(place, actor="wang")


def add(place: County, login: str, file: Path, until: date | None = None) -> None:
    now = county.noon(CONFIRMED)
    setup.add_key(place.database, login, file, until, actor="zhang", now=now)


def test_one_key_is_one_officers_and_one_officer_has_one_key(place: County, folder: Path) -> None:
    public = Path(f"{keys.key_file(folder, 'one')}.pub")
    other = Path(f"{keys.key_file(folder, 'two')}.pub")
    add(place, "wang", public)
    before = every_row(place)

    with pytest.raises(Conflict):
        add(place, "wang", other)
    with pytest.raises(Conflict):
        add(place, "zhao", public)
    assert every_row(place) == before
    revoke(place)
    with pytest.raises(Conflict):
        add(place, "wang", public)
    add(place, "wang", other)
    with pytest.raises(UsageFault):
        add(place, "nobody", public)
    with pytest.raises(UsageFault):
        add(place, "zhao", Path(f"{keys.key_file(folder, 'three')}.pub"), CONFIRMED - ONE_DAY)
    with pytest.raises(BadFile):
        add(place, "zhao", keys.key_file(folder, "four"))
    with pytest.raises(UsageFault):
        revoke(place, "zhao")


# The plan's policy -------------------------------------------------------------------------------


def with_policy(folder: Path, *wanted: str) -> County:
    """A county whose plan wants these signed."""
    value = ", ".join(f'"{one}"' for one in wanted)
    policy = f'[rules.signatures]\nvalue = [{value}]\nsource = "县级政策"\nverified = false\n'
    file = folder / "county.db"
    text = county.plan_text().replace("[[acceptance]]", policy + "[[acceptance]]", 1)
    setup.create(
        str(file),
        county.plan_in(folder, text),
        drill=True,
        login="zhang",
        name="张县办",
        today=county.FOUNDED,
        clock=county.noon(county.FOUNDED),
    )
    return county.open_at(file)


def officer(place: County, login: str, actor: str = "zhang") -> None:
    name, role, unit, person = county.OFFICERS[login]
    now = county.noon(county.FOUNDED)
    setup.add_officer(place.database, login, name, role, unit, person, actor=actor, now=now)


def test_who_must_sign_and_has_no_key_is_told_what_to_do(place: County) -> None:
    county.carry(place, [CODE], State.ACCEPTANCE)
    with_policy_of(place, "accept")

    with pytest.raises(StepRefused) as refused:
        engine.advance(place.database, county.accept(CODE), "zhao", county.noon(county.ACCEPTED))

    assert [reason.guard for reason in refused.value.reasons] == ["signature"]
    assert "officer key" in str(refused.value.remedy)


def with_policy_of(place: County, *wanted: str) -> None:
    """The same plan with a policy, adopted by a county officer in the journal."""
    with place.database.transaction() as connection:
        old = register.plan_in_force(connection)
        document = json.loads(old.canonical)
        entry = {"value": [*wanted], "source": "县级政策", "verified": False}
        document["rules"]["signatures"] = entry
        new = plans.from_json(document)
        who = register.actor(connection, "zhang")
        _, last = journal.last_entry(connection)
        assert last is not None
        pen = Pen(connection, who, last, old)
        evidence = {"name": new.name, "document": document}
        event = pen.add(Draft("plan", "plan_adopted", county.FOUNDED, evidence))
        pen.write()
        table = register._PLAN
        connection.execute(
            table.insert().values(
                hash=new.hash,
                name=new.name,
                seq=event.seq,
                exempt_paths=",,",
                document=new.canonical,
            )
        )


def test_what_the_plan_wants_signed_passes_signed_and_the_rest_unsigned(
    place: County, folder: Path
) -> None:
    county.carry(place, [CODE], State.ACCEPTANCE)
    with_policy_of(place, "accept", "permit", "revoke")
    key = register_late(place, folder, "zhao")
    with signing_with(place, key):
        engine.advance(place.database, county.accept(CODE), "zhao", county.noon(county.ACCEPTED))
    place.advance(CODE, FactKind.FAULT, county.ACCEPTED, ("what", "坏"))

    assert integrity(place) == []
    assert place.state(CODE) is State.STABLE_SEASON


def register_late(place: County, folder: Path, login: str) -> FileKey:
    file = keys.key_file(folder, login)
    now = county.noon(county.COMPLETED)
    public = Path(f"{file}.pub")
    setup.add_key(place.database, login, public, None, actor="zhang", now=now)
    return keys.opened(file)


def test_where_all_is_signed_the_first_key_is_registered_unsigned_and_nothing_after(
    tmp_path: Path, folder: Path
) -> None:
    place = with_policy(tmp_path, "all")
    officer(place, "li")
    with pytest.raises(StepRefused):
        setup.import_catalogue(
            place.database,
            catalogue(tmp_path),
            actor="zhang",
            now=county.noon(county.FOUNDED),
        )
    file = keys.key_file(folder, "zhang")
    now = county.noon(county.FOUNDED)
    public = Path(f"{file}.pub")
    setup.add_key(place.database, "zhang", public, None, actor="zhang", now=now)
    with pytest.raises(NotPermitted):
        officer(place, "wang")
    with pytest.raises(StepRefused):
        officer(place, "wang", actor="li")
    with signing_with(place, keys.opened(file)):
        officer(place, "wang")
        setup.import_catalogue(place.database, catalogue(tmp_path), actor="zhang", now=now)

    assert integrity(place) == []


def catalogue(folder: Path) -> Path:
    file = folder / "catalogue.csv"
    file.write_text("型号,品牌,取暖方式,中标包号\nKFR-35,格力,煤改电,1\n", encoding="utf-8")
    return file


def test_the_last_key_of_the_county_office_is_not_revoked_where_all_must_sign(
    tmp_path: Path, folder: Path
) -> None:
    place = with_policy(tmp_path, "all")
    officer(place, "li")
    file = keys.key_file(folder, "zhang")
    now = county.noon(county.FOUNDED)
    public = Path(f"{file}.pub")
    setup.add_key(place.database, "zhang", public, None, actor="zhang", now=now)
    key = keys.opened(file)
    with signing_with(place, key):
        with pytest.raises(StepRefused):
            setup.revoke_key(place.database, "zhang", actor="zhang", now=now)
        spare = Path(f"{keys.key_file(folder, 'li')}.pub")
        setup.add_key(place.database, "li", spare, None, actor="zhang", now=now)
        setup.revoke_key(place.database, "zhang", actor="zhang", now=now)

    assert integrity(place) == []


def test_a_key_at_hand_must_be_the_registered_one(place: County, folder: Path) -> None:
    file = keys.key_file(folder, "wang")
    add(place, "wang", Path(f"{file}.pub"))
    other = keys.key_file(folder, "other")
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return keys.PASSPHRASE

    def unlock(login: str, given: Path | None) -> signing.Signer | None:
        return keyring.unlock(place.database, login, agent=None, file=given, ask=ask)

    assert unlock("zhao", file) is None
    assert asked == []
    found = unlock("wang", file)
    assert found is not None
    assert asked == ["wang"]
    for wrong in (other, None):
        with pytest.raises(NotPermitted):
            unlock("wang", wrong)


@needs_openssh
def test_the_agent_is_asked_before_the_file(place: County, folder: Path) -> None:
    file = keys.stock_key(folder / "id")
    add(place, "wang", Path(f"{file}.pub"))
    with keys.agent() as address:
        keys.add_to_agent(address, file)
        nowhere = folder / "none"
        found = keyring.unlock(
            place.database, "wang", agent=address, file=nowhere, ask=keys.never_asked
        )
        with signing_with(place, found):  # type: ignore[arg-type]
            fault(place)

    assert integrity(place) == []


def test_the_program_itself_signs_nothing(place: County, folder: Path) -> None:
    key = register_key(place, folder, "zhang")
    with signing_with(place, key):
        checkpoint.make(place.database, county.noon(CONFIRMED))

    assert signatures(place, "system")[0][1] is None
    assert integrity(place) == []


# What tampering leaves behind ------------------------------------------------------------------


@pytest.fixture
def signed(place: County, folder: Path) -> tuple[County, FileKey, int]:
    """A fault of the first case that wang signed, another of the second, and its seq."""
    key = register_key(place, folder, "wang")
    with signing_with(place, key):
        fault(place, code=county.TOWN[1])
        seq = fault(place).seq
    return place, key, seq


def change(place: County, seq: int, signature: str | None) -> None:
    place.tamper("UPDATE journal SET signature = ? WHERE seq = ?", signature, seq)


def signature_of(place: County, seq: int) -> str:
    [(signature,)] = place.sql("SELECT signature FROM journal WHERE seq = ?", seq)
    return str(signature)


def body_of(place: County, seq: int) -> bytes:
    [(body,)] = place.sql("SELECT body FROM journal WHERE seq = ?", seq)
    assert isinstance(body, bytes)
    return body


def test_a_changed_signature_is_found_with_case_and_seq(
    signed: tuple[County, FileKey, int],
) -> None:
    place, _, seq = signed
    good = signature_of(place, seq)
    for bad in (good[:-8] + "AAAA" + good[-4:], good[:-4], "", "中", good + "\n"):
        change(place, seq, bad)

        assert integrity(place) == [("signature_invalid", CODE, seq)]


def test_the_signature_of_another_event_is_found(signed: tuple[County, FileKey, int]) -> None:
    place, _, seq = signed
    change(place, seq, signature_of(place, seq - 1))

    assert integrity(place) == [("signature_invalid", CODE, seq)]


def test_a_signature_that_was_taken_away_is_found(signed: tuple[County, FileKey, int]) -> None:
    place, _, seq = signed
    change(place, seq, None)

    assert integrity(place) == [("signature_missing", CODE, seq)]


def test_the_signature_of_another_officer_is_found(
    signed: tuple[County, FileKey, int], folder: Path
) -> None:
    place, _, seq = signed
    thief = keys.opened(keys.key_file(folder, "thief"))
    change(place, seq, signing.sign(thief, body_of(place, seq), SPACE))

    assert integrity(place) == [("signature_invalid", CODE, seq)]


def test_a_signature_made_for_a_real_database_says_nothing_in_a_drill(
    signed: tuple[County, FileKey, int],
) -> None:
    place, key, seq = signed
    change(place, seq, signing.sign(key, body_of(place, seq), "xianli-event@v1"))

    assert integrity(place) == [("signature_invalid", CODE, seq)]


def test_a_signature_that_names_another_purpose_than_it_was_made_for_is_found(
    signed: tuple[County, FileKey, int],
) -> None:
    """The signature itself fits; ssh-keygen, which reads the purpose, would refuse it."""
    place, _, seq = signed
    blob = base64.b64decode(signature_of(place, seq))
    assert blob.count(SPACE.encode()) == 1
    bent = blob.replace(SPACE.encode(), b"xianli-event@v1")
    change(place, seq, base64.b64encode(bent).decode())

    assert integrity(place) == [("signature_invalid", CODE, seq)]


def test_a_signature_by_a_key_that_was_revoked_before_is_found(place: County, folder: Path) -> None:
    key = register_key(place, folder, "wang")
    revoke(place)
    seq = fault(place).seq
    change(place, seq, signing.sign(key, body_of(place, seq), SPACE))

    assert integrity(place) == [("signature_invalid", CODE, seq)]


def test_a_signature_from_before_the_key_was_registered_is_found(
    place: County, folder: Path
) -> None:
    seq = fault(place).seq
    key = register_key(place, folder, "wang")
    change(place, seq, signing.sign(key, body_of(place, seq), SPACE))

    assert integrity(place) == [("signature_invalid", CODE, seq)]


def test_a_signature_after_the_last_day_of_its_key_is_found(place: County, folder: Path) -> None:
    key = register_key(place, folder, "wang", until=CONFIRMED)
    place.sql("UPDATE officer_key SET valid_until = NULL")
    with signing_with(place, key):
        late = place.advance(CODE, FactKind.FAULT, CONFIRMED + ONE_DAY, ("what", "坏"))
    place.sql("UPDATE officer_key SET valid_until = ?", CONFIRMED.isoformat())

    assert integrity(place) == [("signature_invalid", CODE, late.seq)]


def test_what_the_plan_wants_signed_and_is_not_is_found(place: County) -> None:
    county.carry(place, [CODE], State.ACCEPTANCE)
    with_policy_of(place, "accept")
    [(document,)] = place.sql("SELECT document FROM plan_revision ORDER BY seq DESC LIMIT 1")
    # Somebody takes the policy out of the table for a moment; the journal still has it.
    rows = place.sql("SELECT hash, document FROM plan_revision ORDER BY seq")
    place.sql("UPDATE plan_revision SET document = ? WHERE hash = ?", rows[0][1], rows[1][0])
    with place.database.transaction() as connection:
        who = register.actor(connection, "zhao")
        forged = copy.copy(register.plan_in_force(connection))
        forged.hash = str(rows[1][0])
        pen = Pen(connection, who, county.noon(county.ACCEPTED), forged)
        event = pen.add(
            Draft(
                f"case:{CODE}",
                "accept",
                county.ACCEPTED,
                {"facility": ["kang:present:kang.jpg"]},
                State.ACCEPTANCE,
                State.STABLE_SEASON,
            )
        )
        pen.write()
    place.sql("UPDATE plan_revision SET document = ? WHERE hash = ?", document, rows[1][0])

    assert ("signature_missing", CODE, event.seq) in integrity(place)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM officer_key",
        "UPDATE officer_key SET login = 'zhao'",
        "UPDATE officer_key SET revoked_seq = 40",
        "UPDATE officer_key SET valid_until = '2024-01-01'",
        "UPDATE officer_key SET added_seq = 3",
    ],
)
def test_the_table_of_keys_cannot_be_edited_unseen(
    place: County, folder: Path, statement: str
) -> None:
    register_key(place, folder, "wang")
    assert integrity(place) == []
    place.sql(statement)

    assert {code for code, _, _ in integrity(place)} == {"projection_differs"}


def test_a_copied_database_keeps_its_signatures(place: County, folder: Path) -> None:
    key = register_key(place, folder, "wang")
    with signing_with(place, key):
        fault(place)

    assert integrity(county.copy(place, folder / "copy")) == []


def test_roles_and_orders_are_as_without_keys(place: County, folder: Path) -> None:
    """A key gives no right: who may not permit may not permit with a signature either."""
    key = register_key(place, folder, "wang")
    order = Order(CODE, Trigger.PERMIT, county.permit(CODE).evidence)
    with signing_with(place, key), pytest.raises(CaseError) as refused:
        engine.advance(place.database, order, "wang", county.noon(CONFIRMED))

    assert refused.value.status == 5
    assert Role.UNIT_OFFICER.label in refused.value.message


def test_a_preview_needs_no_signature_and_writes_nothing(place: County, folder: Path) -> None:
    key = register_key(place, folder, "wang")
    sheet = forms.fill(forms.template(place, Trigger.CONFIRM), {CODE: forms.CONFIRMATION})
    before = every_row(place)
    now = county.noon(CONFIRMED)

    with signing_with(place, None):
        found = batch.preview(place.database, sheet, "wang", now)
        unsigned = batch.apply(place.database, sheet, "wang", now)
    assert every_row(place) == before
    with signing_with(place, key):
        signed = batch.apply(place.database, sheet, "wang", now)

    assert (len(found.done), len(found.refused)) == (1, 0)
    assert (len(unsigned.done), len(unsigned.refused)) == (0, 1)
    assert signed.applied == 1
    assert signatures(place, "wang")[-1][1] is not None
