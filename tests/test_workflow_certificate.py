"""Removal certificates made from a real database and held against its bundle on a bare Python."""

import base64
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from county import CODE, ONE_DAY, PAPER, PERMITTED, TOWN, County, carry, fresh, noon, winter
from proofs import mutated

from notifications import qr
from states.errors import StepRefused
from states.vocabulary import FactKind, State, Trigger
from workflow import audit, certificate, checkpoint, register, tree, verify, verify_certificate
from workflow.errors import NotPermitted

ROOT = Path(__file__).parent.parent
LATER = date(2024, 4, 10)


@dataclass(frozen=True)
class Issued:
    """A county with two permissions, the page of the first, and the bundle of that day."""

    county: County
    page: str
    bundle: Path


def make_page(county: County, code: str = CODE) -> str:
    with county.database.reading() as connection:
        return certificate.page(certificate.certify(connection, code, None))


def write_bundle(county: County) -> Path:
    file = county.file.parent / f"bundle-{len(list(county.file.parent.iterdir()))}.jsonl"
    with county.database.reading() as connection:
        audit.write_bundle(connection, file)
    return file


@pytest.fixture(scope="module")
def issued(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    county = fresh(tmp_path_factory.mktemp("certificate"))
    carry(county, TOWN[:2], State.REMOVAL_PERMITTED)
    checkpoint.make(county.database, noon(PERMITTED))
    yield Issued(county, make_page(county), write_bundle(county))
    county.database.close()


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    made = fresh(tmp_path)
    yield made
    made.database.close()


def judged(bundle: Path, page: str) -> verify_certificate.Verdict:
    with bundle.open("rb") as file:
        verdict = verify_certificate.judge(verify.parsed(file), page)
    assert not isinstance(verdict, str), verdict
    return verdict


def wrong(bundle: Path, page: str) -> list[str]:
    return sorted({name for name, _ in judged(bundle, page).wrong})


def test_a_certificate_holds_against_the_bundle(issued: Issued) -> None:
    verdict = judged(issued.bundle, issued.page)

    assert (verdict.code, verdict.wrong, verdict.later, verdict.broken) == (CODE, (), (), False)


def test_it_is_checked_on_a_bare_python_that_knows_nothing_of_us(
    issued: Issued, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text(issued.page, encoding="utf-8")
    for name in ("verify.py", "verify_certificate.py"):
        (tmp_path / name).write_bytes((ROOT / "workflow" / name).read_bytes())

    done = subprocess.run(
        [sys.executable, "-S", "verify_certificate.py", str(issued.bundle), str(page), "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "code": CODE,
        "holds": True,
        "wrong": [],
        "later": [],
        "bundle_verifies": True,
    }


def test_every_value_on_the_page_stands_in_a_field_and_the_rest_never_changes(
    issued: Issued,
) -> None:
    other = make_page(issued.county, TOWN[1])

    first, values, _ = verify_certificate.parts(issued.page)
    second, others, _ = verify_certificate.parts(other)

    assert first == second
    assert values.keys() == others.keys()
    assert values["rows"] != others["rows"]


def fields_of(page: str) -> list[str]:
    return list(verify_certificate.parts(page)[1])


def with_field(page: str, name: str, content: str) -> str:
    found = [m for m in verify_certificate.FIELDS.finditer(page) if m["name"] == name]
    assert len(found) == 1, name
    start, end = found[0].span("content")
    return page[:start] + content + page[end:]


# Without these there is nothing to hold the page against: it is no certificate at all.
NAMES_IT = ("code", "size")
CHANGED = (
    *("drill", "unit", "village", "path", "kind", "area", "permission_seq", "permission_hash"),
    *("permitted_on", "permitted_by", "plan", "plan_hash", "clause", "unverified", "matters"),
    *("clock_start", "seasons", "first_heat", "longest_outage", "outage_days", "warm_visits"),
    *("signatures", "grade", "rows", "origin", "root", "leaf", "inclusion", "qr_text"),
    *("qr", "qr_hash"),
)


def test_the_list_of_fields_is_the_pages(issued: Issued) -> None:
    assert set(fields_of(issued.page)) == {*CHANGED, *NAMES_IT}


@pytest.mark.parametrize("name", CHANGED)
def test_a_field_that_says_something_else_is_named(issued: Issued, name: str) -> None:
    assert name in wrong(issued.bundle, with_field(issued.page, name, "别的"))


@pytest.mark.parametrize("name", CHANGED)
def test_a_field_that_is_missing_is_named(issued: Issued, name: str) -> None:
    gone = issued.page.replace(f'data-field="{name}"', "")

    assert name in wrong(issued.bundle, gone)
    assert "page" in wrong(issued.bundle, gone)


def test_each_flipped_byte_is_found(issued: Issued) -> None:
    choice = random.Random(7)
    page = bytearray(issued.page.encode())

    for place in choice.sample(range(len(page)), 150):
        flipped = bytearray(page)
        flipped[place] ^= 1 << choice.randrange(7)
        try:
            verdict = verify_certificate.judge(bundle_lines(issued.bundle), flipped.decode())
        except UnicodeDecodeError:
            continue
        assert isinstance(verdict, str) or verdict.wrong, bytes(page[place - 20 : place + 20])


def bundle_lines(bundle: Path) -> list[Mapping[str, object]]:
    with bundle.open("rb") as file:
        return list(verify.parsed(file))


def test_swapped_evidence_is_found_in_the_chain_of_facts(issued: Issued) -> None:
    digest = re.search(r"[0-9a-f]{64}(?=</td></tr>)", issued.page)
    assert digest is not None
    swapped = issued.page.replace(digest[0], "0" * 64)

    assert "rows" in wrong(issued.bundle, swapped)


def test_another_households_code_names_what_does_not_fit(issued: Issued) -> None:
    reused = issued.page.replace(CODE, TOWN[1])

    assert {"permission_hash", "rows", "inclusion"} <= set(wrong(issued.bundle, reused))


def test_a_household_without_permission_has_no_certificate(issued: Issued) -> None:
    reused = issued.page.replace(CODE, TOWN[2])

    assert "permission" in wrong(issued.bundle, reused)
    with issued.county.database.reading() as connection, pytest.raises(StepRefused):
        certificate.certify(connection, TOWN[2], None)


def test_what_the_qr_code_says_is_enough_for_a_printed_page(issued: Issued) -> None:
    text = verify_certificate.parts(issued.page)[1]["qr_text"]

    assert wrong(issued.bundle, text) == []
    for place, other in ((1, "xianli/other"), (2, TOWN[1]), (3, "0" * 64), (5, "A" * 44)):
        parts = text.split("|")
        parts[place] = other
        assert wrong(issued.bundle, "|".join(parts)) == ["qr_text"]


def test_a_checkpoint_beyond_the_bundle_is_named(issued: Issued) -> None:
    text = verify_certificate.parts(issued.page)[1]["qr_text"].split("|")
    text[4] = str(10**6)

    assert "size" in wrong(issued.bundle, "|".join(text))


def test_the_drawing_is_the_qr_text(issued: Issued) -> None:
    values = verify_certificate.parts(issued.page)[1]

    assert values["qr"].strip() == qr.svg(values["qr_text"]).strip()


def test_a_certificate_speaks_of_its_checkpoint_and_later_knowledge_is_told(
    county: County,
) -> None:
    carry(county, [CODE], State.REMOVAL_PERMITTED)
    checkpoint.make(county.database, noon(PERMITTED))
    page = make_page(county)
    order = (("cause", "not_stable"), ("findings", "压缩机坏了"))
    county.advance(CODE, Trigger.REVOKE, LATER, *order)
    gone = (("facility", "kang"), ("status", "removed"), ("by", "household"))
    county.advance(CODE, FactKind.OLD_FACILITY, LATER, *gone)

    verdict = judged(write_bundle(county), page)

    assert verdict.wrong == ()
    assert len(verdict.later) == 1
    # As known then it may still be made; as known at the next checkpoint no more.
    assert make_page(county) == page
    checkpoint.make(county.database, noon(LATER))
    with pytest.raises(StepRefused):
        make_page(county)


def test_answered_violations_complaints_and_findings_stay_on_the_certificate(
    county: County,
) -> None:
    carry(county, [CODE], State.STABLE_SEASON)
    day = date(2023, 10, 1)
    for kind, pairs in (
        (FactKind.VIOLATION, (("type", "kang_sealed"), ("by", "村干部"), ("what", "封了炕"))),
        (FactKind.COMPLAINT, (("what", "不热"),)),
        (FactKind.FINDING, (("what", "照片不清"), ("severity", "note"))),
    ):
        county.advance(CODE, kind, day, *pairs)
    seqs = [seq for (seq,) in county.sql("SELECT seq FROM journal ORDER BY seq DESC LIMIT 3")]
    for seq, outcome in zip(seqs[1:], ("unfounded", "resolved"), strict=True):
        answer = (("id", str(seq)), ("outcome", outcome))
        county.advance(CODE, FactKind.RESOLVE, day + ONE_DAY, *answer, files=[PAPER])
    winter(county, [CODE])
    county.advance(CODE, Trigger.PERMIT, PERMITTED)
    checkpoint.make(county.database, noon(PERMITTED))
    page, bundle = make_page(county), write_bundle(county)

    told = verify_certificate.parts(page)[1]["matters"]

    assert told == (
        f"第 {seqs[2]} 号违规（封火炕，2023-10-01）：已解决，2023-10-02；"
        f"第 {seqs[1]} 号投诉（2023-10-01）：不属实，2023-10-02；"
        f"第 {seqs[0]} 号审计发现（一般，2023-10-01）：未销号"
    )
    assert judged(bundle, page).wrong == ()
    assert wrong(bundle, with_field(page, "matters", "无")) == ["matters"]


def test_no_bent_path_of_a_certificate_is_accepted_in_ten_thousand_tries(issued: Issued) -> None:
    values = verify_certificate.parts(issued.page)[1]
    path = [base64.b64decode(node) for node in values["inclusion"].split()]
    leaf, root = base64.b64decode(values["leaf"]), base64.b64decode(values["root"])
    index, size = int(values["permission_seq"]) - 1, int(values["size"])
    assert tree.verify_inclusion(leaf, index, size, path, root)
    chance, tried = random.Random(5), 0

    while tried < 10_000:
        bent = mutated(path, chance)
        if bent == path:
            continue
        tried += 1
        assert not tree.verify_inclusion(leaf, index, size, bent, root)
        if tried % 500 == 0:
            written = " ".join(base64.b64encode(node).decode() for node in bent)
            assert wrong(issued.bundle, with_field(issued.page, "inclusion", written)) == [
                "inclusion"
            ]


def test_a_suspended_permission_has_no_certificate(county: County) -> None:
    carry(county, [CODE], State.REMOVAL_PERMITTED)
    county.advance(CODE, FactKind.COMPLAINT, PERMITTED, ("what", "夜里不热"))
    checkpoint.make(county.database, noon(PERMITTED))

    with pytest.raises(StepRefused, match="中止"):
        make_page(county)


def test_a_permission_that_no_checkpoint_covers_has_no_certificate(county: County) -> None:
    carry(county, [CODE], State.STABLE_SEASON)
    winter(county, [CODE])
    checkpoint.make(county.database, noon(PERMITTED))
    county.advance(CODE, Trigger.PERMIT, PERMITTED)

    with pytest.raises(StepRefused, match="检查点"):
        make_page(county)


def test_a_certificate_is_for_who_may_see_the_household(issued: Issued) -> None:
    with issued.county.database.reading() as connection:
        foreign = register.actor(connection, "qian")
        with pytest.raises(NotPermitted):
            certificate.certify(connection, CODE, foreign)
        assert certificate.certify(connection, CODE, register.actor(connection, "wang")).drill


def test_the_same_page_is_made_again_byte_for_byte(issued: Issued, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    with issued.county.database.reading() as connection:
        found = certificate.certify(connection, CODE, None)
    certificate.write(found, file, force=False)

    assert certificate.same(found, file)
    file.write_bytes(file.read_bytes().replace(b"xianli/", b"xianl1/", 1))
    assert not certificate.same(found, file)
