"""Tampering, with the triggers dropped, as somebody who holds the file could do it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import county
import pytest
from county import CODE, COLLECTIVE, ONE_DAY, PAPER, PERMITTED, County, every_row

from states.plan import Json
from states.vocabulary import FactKind, State
from workflow import audit, journal, triggers, verify
from workflow.errors import BadFile

OTHER = county.TOWN[1]
STREAM = f"case:{CODE}"
Tamper = Callable[[County], object]


@pytest.fixture(scope="module")
def finished(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    """Every case permitted, two stoves lawfully removed."""
    place = county.fresh(tmp_path_factory.mktemp("finished"))
    county.carry(place, county.CODES, State.REMOVAL_PERMITTED)
    for code in (CODE, COLLECTIVE):
        remove(place, code)
    return place


@pytest.fixture
def place(finished: County, tmp_path: Path) -> County:
    return county.copy(finished, tmp_path)


def remove(place: County, code: str, status: str = "removed") -> int:
    pairs = (("facility", "kang"), ("status", status), ("by", "household"))
    return place.advance(code, FactKind.OLD_FACILITY, PERMITTED + ONE_DAY, *pairs).seq


def verification(place: County) -> audit.Verification:
    with place.database.reading() as connection:
        return audit.verification(connection)


def report(place: County) -> verify.Report:
    with place.database.reading() as connection:
        return audit.report(connection)


def seq_of(place: County, kind: str, code: str = CODE) -> int:
    [(seq,)] = place.sql(
        "SELECT MAX(seq) FROM journal WHERE kind = ? AND stream = ?", kind, f"case:{code}"
    )
    return int(str(seq))


def body_of(place: County, seq: int) -> dict[str, Json]:
    [(body,)] = place.sql("SELECT body FROM journal WHERE seq = ?", seq)
    return cast(dict[str, Json], json.loads(cast(bytes, body)))


def rewrite(place: County, seq: int, **change: Json) -> None:
    """Writes other bytes, and the hash that fits them."""
    body = journal.canonical({**body_of(place, seq), **change})
    place.tamper(
        "UPDATE journal SET body = ?, hash = ? WHERE seq = ?", body, journal.digest(body), seq
    )


def rechain(place: County, code: str, since: int) -> None:
    """Recomputes every hash of a stream from an event on, as a forger with time would."""
    stream = f"case:{code}"
    rows = place.sql(
        "SELECT seq FROM journal WHERE stream = ? AND seq > ? ORDER BY seq", stream, since
    )
    [(previous,)] = place.sql("SELECT hash FROM journal WHERE seq = ?", since)
    for (seq,) in rows:
        rewrite(place, int(str(seq)), previous=str(previous))
        place.tamper("UPDATE journal SET previous = ? WHERE seq = ?", previous, seq)
        [(previous,)] = place.sql("SELECT hash FROM journal WHERE seq = ?", seq)


def backdate_acceptance(place: County) -> int:
    """The bytes of the acceptance tell an earlier day; its hash is left."""
    seq = seq_of(place, "accept")
    body = journal.canonical({**body_of(place, seq), "occurred_on": "2023-08-20"})
    place.tamper("UPDATE journal SET body = ? WHERE seq = ?", body, seq)
    return seq


def backdate_with_hash(place: County) -> int:
    """The chain after it no longer fits: found at the next event of the stream."""
    seq = seq_of(place, "accept")
    rewrite(place, seq, occurred_on="2023-08-20")
    [(following,)] = place.sql(
        "SELECT MIN(seq) FROM journal WHERE stream = ? AND seq > ?", STREAM, seq
    )
    return int(str(following))


def edit_column(place: County) -> int:
    seq = seq_of(place, "accept")
    place.tamper("UPDATE journal SET actor = 'wang-accepts' WHERE seq = ?", seq)
    return seq


def edit_recording(place: County) -> int:
    seq = seq_of(place, "accept")
    earlier = "2023-09-09T04:00:00.000000Z"
    place.tamper("UPDATE journal SET recorded_at = ? WHERE seq = ?", earlier, seq)
    return seq


def delete_from_the_middle(place: County) -> int:
    seq = seq_of(place, "visit")
    place.tamper("DELETE FROM journal WHERE seq = ?", seq)
    [(following,)] = place.sql(
        "SELECT MIN(seq) FROM journal WHERE stream = ? AND seq > ?", STREAM, seq
    )
    return int(str(following))


def swap_two(place: County) -> int:
    first, second = seq_of(place, "select"), seq_of(place, "complete")
    place.tamper("UPDATE journal SET seq = -1 WHERE seq = ?", first)
    place.tamper("UPDATE journal SET seq = ? WHERE seq = ?", first, second)
    place.tamper("UPDATE journal SET seq = ? WHERE seq = -1", second)
    return first


def empty_the_hash(place: County) -> int:
    seq = seq_of(place, "complete")
    place.tamper("UPDATE journal SET hash = '' WHERE seq = ?", seq)
    return seq


def forge_previous(place: County) -> int:
    seq = seq_of(place, "complete")
    rewrite(place, seq, previous=None)
    place.tamper("UPDATE journal SET previous = NULL WHERE seq = ?", seq)
    rechain(place, CODE, seq)
    return seq


def garble(place: County) -> int:
    seq = seq_of(place, "complete")
    place.tamper("UPDATE journal SET body = ? WHERE seq = ?", b"\xff\x00\xff", seq)
    return seq


@pytest.mark.parametrize(
    "tamper",
    [
        backdate_acceptance,
        backdate_with_hash,
        edit_column,
        edit_recording,
        delete_from_the_middle,
        swap_two,
        empty_the_hash,
        forge_previous,
    ],
)
def test_an_edited_journal_is_found_with_case_and_seq(
    place: County, tamper: Callable[[County], int]
) -> None:
    seq = tamper(place)

    found = verification(place)

    assert not found.verified
    assert (CODE, seq) in {(finding.case, finding.seq) for finding in found.findings}


def test_bytes_that_cannot_be_read_are_found_and_the_case_named(place: County) -> None:
    seq = garble(place)

    found = verification(place).findings

    assert seq in {finding.seq for finding in found}
    assert CODE in {finding.case for finding in found}


def cut_the_tail(place: County) -> None:
    """The last event, an old stove's removal, never was; the row goes back with it."""
    seq = seq_of(place, "old-facility", COLLECTIVE)
    place.tamper("DELETE FROM journal WHERE seq = ?", seq)


def recompute_the_chain_without_the_row(place: County) -> None:
    seq = seq_of(place, "visit")
    rewrite(place, seq, evidence={"temperature": 30.0})
    rechain(place, CODE, seq)


def edit_the_case(column: str, value: object) -> Tamper:
    return lambda place: place.tamper(
        f"UPDATE household_case SET {column} = ? WHERE code = ?", value, CODE
    )


def edit_the_permission(column: str, value: object) -> Tamper:
    return lambda place: place.tamper(
        f"UPDATE permission SET {column} = ? WHERE case_code = ?", value, CODE
    )


@pytest.mark.parametrize(
    "tamper",
    [
        recompute_the_chain_without_the_row,
        edit_the_case("state", "stable_season"),
        edit_the_case("state_since", "2024-04-01"),
        edit_the_case("unit", "102"),
        edit_the_case("village", "后村"),
        edit_the_case("path", "solar"),
        edit_the_case("kind", "collective"),
        edit_the_case("area", "county_town"),
        edit_the_case("quota", "over_plan"),
        edit_the_case("version", 3),
        edit_the_case("head_hash", "0" * 64),
        edit_the_case("due_on", "2024-12-31"),
        edit_the_case("plan_due_on", "2024-12-31"),
        edit_the_case("due_reason", "不急"),
        edit_the_case("select_on", "2023-04-30"),
        edit_the_case("facility_gone", False),
        edit_the_permission("permitted_on", "2024-04-10"),
        edit_the_permission("permitted_by", "li"),
        edit_the_permission("accepted_on", "2023-08-20"),
        edit_the_permission("accepted_by", "wang"),
        edit_the_permission("acceptance_seq", 3),
        edit_the_permission("readiness_seq", 3),
        edit_the_permission("ready_on", "2023-08-01"),
        edit_the_permission("season_first_day", "2023-10-01"),
        edit_the_permission("season_last_day", "2024-03-01"),
        edit_the_permission("plan", "0" * 64),
        edit_the_permission("case_code", OTHER),
        lambda place: place.tamper("DELETE FROM permission WHERE case_code = ?", CODE),
        lambda place: place.tamper("DELETE FROM household_case WHERE code = ?", CODE),
    ],
)
def test_a_row_that_the_journal_does_not_bear_out_is_found_with_its_case(
    place: County, tamper: Tamper
) -> None:
    tamper(place)

    found = verification(place)

    assert not found.verified
    assert CODE in {finding.case for finding in found.findings}


def test_a_tail_that_was_cut_off_is_found_by_the_row_that_it_left(place: County) -> None:
    cut_the_tail(place)

    found = verification(place)

    assert COLLECTIVE in {finding.case for finding in found.findings}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE officer SET role = 'county_office', unit = NULL WHERE login = 'wang'",
        "UPDATE officer SET person = 'another' WHERE login = 'wang-accepts'",
        "UPDATE officer SET active = FALSE WHERE login = 'wang'",
        "UPDATE officer SET name = '某人' WHERE login = 'wang'",
        "UPDATE officer SET unit = '102' WHERE login = 'wang'",
        "DELETE FROM officer WHERE login = 'sun'",
        "INSERT INTO officer VALUES ('x', 'X', 'x', 'county_office', NULL, TRUE)",
        "UPDATE gate SET opened_on = '2023-05-01' WHERE unit = '101'",
        "DELETE FROM gate WHERE unit = '101'",
        "INSERT INTO gate VALUES ('101', '新村', 'grid', '2023-05-01')",
        "UPDATE plan_revision SET document = replace(document, '\"value\":3,', '\"value\":9,')",
        "UPDATE plan_revision SET exempt_paths = ',coal_to_electric,'",
        "UPDATE plan_revision SET name = 'other'",
        "UPDATE catalogue SET path = 'biomass'",
        "DELETE FROM catalogue",
        "INSERT INTO catalogue VALUES ('NEW', 'solar', '品牌', '1')",
    ],
)
def test_the_countys_own_tables_cannot_be_edited_unseen(place: County, statement: str) -> None:
    before = every_row(place)
    place.sql(statement)

    assert every_row(place) != before
    assert not verification(place).verified


@pytest.mark.parametrize("name", list(triggers.SQLITE))
def test_a_dropped_trigger_is_found(place: County, name: str) -> None:
    place.unguard(name)

    [finding] = verification(place).findings

    assert finding.code == "trigger_missing"
    assert name in finding.message


def test_a_weakened_trigger_is_found(place: County) -> None:
    place.weaken("journal_no_update")

    assert [finding.code for finding in verification(place).findings] == ["trigger_missing"]


def test_an_untouched_database_verifies(place: County) -> None:
    found = verification(place)
    told = report(place)

    assert (found.verified, found.cases, found.findings) == (True, 10, ())
    assert (told.permitted, told.removed, told.lawful, told.removal) == (10, 2, 2, ())


def test_exactly_the_unlawful_removal_is_named(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE, OTHER], State.REMOVAL_PERMITTED)
    lawless = county.TOWN[2]
    remove(place, CODE)
    seq = remove(place, lawless)

    told = report(place)

    assert (told.permitted, told.removed, told.lawful) == (2, 2, 1)
    assert [(one.code, one.case, one.seq) for one in told.removal] == [
        ("removed_without_permission", lawless, seq)
    ]
    assert verification(place).verified


def test_a_sealed_stove_without_permission_is_named_too(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    seq = remove(place, CODE, "sealed")

    [finding] = report(place).removal

    assert (finding.code, finding.seq) == ("sealed_without_permission", seq)


def test_a_removal_while_the_permission_is_suspended_is_named(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], State.REMOVAL_PERMITTED)
    place.advance(CODE, FactKind.COMPLAINT, PERMITTED + ONE_DAY, ("what", "不热"))
    seq = remove(place, CODE)

    [finding] = report(place).removal

    assert (finding.code, finding.seq) == ("removed_while_suspended", seq)


def test_what_comes_later_undermines_a_permission_and_does_not_make_it_unlawful(
    tmp_path: Path,
) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], State.REMOVAL_PERMITTED)
    cold = county.make_order(
        CODE,
        FactKind.FAULT,
        ("what", "停热"),
        ("late_document", PAPER.name),
        on=county.FIRST_DAY,
        files=[PAPER],
    )
    place.carry_out([cold], "wang", PERMITTED + ONE_DAY)

    assert [one.code for one in report(place).removal] == ["permission_undermined"]


def test_a_forged_permission_is_unlawful_though_every_hash_and_row_fits(place: County) -> None:
    """The whole history of the case recomputed, its row and permission with it."""
    seq = seq_of(place, "visit")
    rewrite(place, seq, evidence={"temperature": 10.0})
    rechain(place, CODE, seq)
    place.tamper(
        "UPDATE household_case SET head_hash ="
        " (SELECT hash FROM journal WHERE stream = ? ORDER BY version DESC LIMIT 1)"
        " WHERE code = ?",
        STREAM,
        CODE,
    )
    # The cold visit leaves the household without heat, which has a clock of its own.
    place.tamper("INSERT INTO deadline VALUES (?, 'heat', '101', '2024-04-03', NULL)", CODE)

    told = report(place)

    assert verification(place).verified
    assert ("permission_unlawful", CODE) in {(one.code, one.case) for one in told.removal}


# The bundle ------------------------------------------------------------------------------------


def check_alone(bundle: Path, folder: Path) -> tuple[int, dict[str, object]]:
    """`python verify.py BUNDLE --json` by a bare Python in a directory of its own."""
    alone = folder / "alone"
    alone.mkdir()
    shutil.copy(verify.__file__, alone / "verify.py")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", str(bundle), "--json"],
        cwd=alone,
        env={"PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    return done.returncode, cast(dict[str, object], json.loads(done.stdout))


def bundle_of(place: County, folder: Path) -> Path:
    file = folder / "bundle.jsonl"
    with place.database.reading() as connection:
        audit.write_bundle(connection, file)
    return file


def findings(document: object) -> list[tuple[object, object, object]]:
    assert isinstance(document, list)
    return [(one["code"], one["seq"], one["message"]) for one in document]


@pytest.mark.parametrize(
    ("tamper", "status"),
    [
        (lambda place: None, 0),
        (lambda place: remove(place, COLLECTIVE, "in_use"), 0),
        (edit_column, 6),
        (cut_the_tail, 6),
        (garble, 6),
        (edit_the_permission("permitted_by", "li"), 6),
    ],
)
def test_the_bundle_alone_gives_the_same_findings(
    place: County, tmp_path: Path, tamper: Tamper, status: int
) -> None:
    tamper(place)
    told = report(place)

    returned, document = check_alone(bundle_of(place, tmp_path), tmp_path)

    removal = cast(dict[str, object], document["removal"])
    assert returned == status
    assert findings(document["findings"]) == [
        (one.code, one.seq, one.message) for one in told.integrity
    ]
    assert findings(removal["findings"]) == [
        (one.code, one.seq, one.message) for one in told.removal
    ]
    assert (document["events"], document["cases"]) == (told.events, told.cases)


def test_the_bundle_of_an_unlawful_removal_exits_with_1(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    seq = remove(place, CODE)

    returned, document = check_alone(bundle_of(place, tmp_path), tmp_path)

    removal = cast(dict[str, object], document["removal"])
    assert returned == 1
    assert [found[:2] for found in findings(removal["findings"])] == [
        ("removed_without_permission", seq)
    ]


def test_the_bundle_holds_no_personal_data(place: County, tmp_path: Path) -> None:
    told = bundle_of(place, tmp_path).read_text(encoding="utf-8")

    for row in county.first_ledger():
        for heading in ("户主姓名", "身份证号", "联系电话", "用电户号", "详细地址"):
            assert not row[heading] or row[heading] not in told


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE personal SET phone = '13900000000' WHERE case_code = '{CODE}'",
        f"UPDATE personal SET salt = 'x' WHERE case_code = '{CODE}'",
        f"UPDATE personal SET case_code = '{CODE}', version = 2 WHERE case_code = '{OTHER}'",
    ],
)
def test_personal_data_that_the_journal_did_not_commit_to_is_found(
    place: County, statement: str
) -> None:
    place.sql(statement)

    found = verification(place).findings

    # A row that was moved is missed where it was, with the keys that rest on it.
    assert {finding.case for finding in found} == ({CODE, OTHER} if OTHER in statement else {CODE})
    assert {finding.code for finding in found} == {"projection_differs"}


def test_an_attached_file_that_was_exchanged_is_found(place: County) -> None:
    place.sql("UPDATE attachment SET content = ? WHERE size = ?", b"\0", len(PAPER.content))

    assert [finding.code for finding in verification(place).findings] == ["projection_differs"]


def test_a_bundle_does_not_overwrite_a_file(place: County, tmp_path: Path) -> None:
    file = bundle_of(place, tmp_path)
    before = file.read_bytes()

    with place.database.reading() as connection, pytest.raises(BadFile, match="已存在"):
        audit.write_bundle(connection, file)

    assert file.read_bytes() == before


def test_an_audit_writes_nothing(place: County) -> None:
    before = every_row(place)

    verification(place)
    report(place)

    assert every_row(place) == before
