"""Checkpoints, the outside witness, receipts: what an honest county does, and a cheating one."""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import county
import keys
import pytest
from county import CODE, CONFIRMED, ONE_DAY, PAPER, PERMITTED, County, every_row
from hypothesis import given, settings
from hypothesis import strategies as st

from states.errors import UsageFault
from states.vocabulary import FactKind, Role, State, Trigger
from workflow import audit, checkpoint, note, setup, signing, verify, witness
from workflow.checkpoint import Made, Seen
from workflow.errors import BadFile, Conflict, JournalBroken, NotPermitted
from workflow.note import Checkpoint
from workflow.tree import Tree

ROOT = Path(__file__).parent.parent
AT = datetime(2023, 6, 11, 1, 2, 3, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


def fault(place: County, day: int = 0, code: str = CODE) -> int:
    on = CONFIRMED + day * ONE_DAY
    return place.advance(code, FactKind.FAULT, on, ("what", "坏")).seq


def make(place: County, day: int = 0) -> Made:
    return checkpoint.make(place.database, county.noon(CONFIRMED + day * ONE_DAY))


def send(place: County, file: Path, day: int = 0, since: int | None = None) -> Path:
    """A checkpoint for the witness, as a file."""
    made = make(place, day)
    with place.database.reading() as connection:
        file.write_text(checkpoint.request(connection, made.checkpoint, since).text)
    return file


def register(place: County, state: Path, actor: str = "zhang", day: int = 0) -> None:
    checkpoint.add_witness(
        place.database,
        state / witness.PUBLIC,
        [PAPER],
        actor=actor,
        now=county.noon(CONFIRMED + day * ONE_DAY),
    )


def witnessed(place: County, folder: Path, day: int = 0) -> Path:
    """The receipt of a whole round with the witness whose directory is `folder/state`."""
    state = folder / "state"
    name = f"round-{len(list(folder.glob('round-?')))}"
    done = witness.witness(send(place, folder / name, day), state, "xinzhou", AT)
    with place.database.reading() as connection:
        known = checkpoint.witnesses(connection)
    if not known:
        register(place, state, day=day)
    checkpoint.import_receipt(place.database, done.file)
    return done.file


def by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, in this file's own words."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\0" + leaves[0] if leaves else b"").digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, right = by_definition(leaves[:split]), by_definition(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()


# The checkpoint ---------------------------------------------------------------------------------


def test_a_checkpoint_is_the_root_over_seq_hash_and_signature_of_all_events(
    place: County,
) -> None:
    made = make(place)
    rows = place.sql("SELECT seq, hash, signature FROM journal ORDER BY seq")
    leaves = [
        f'{{"hash":"{hash_}","seq":{seq},"signature":null}}'.encode()
        for seq, hash_, signature in rows[:-1]
        if signature is None
    ]

    assert made.checkpoint.size == len(leaves) == len(rows) - 1
    assert made.checkpoint.root == by_definition(leaves)
    assert made.new


def test_the_text_is_that_of_c2sp_and_its_origin_says_drill(place: County) -> None:
    made = make(place)
    [(first,)] = place.sql("SELECT hash FROM journal WHERE seq = 1")

    origin, size, root, end = made.checkpoint.text.split("\n")

    assert origin == f"xianli/tiny/drill/{str(first)[:16]}"
    assert size == str(made.checkpoint.size)
    assert base64.b64decode(root) == made.checkpoint.root
    assert end == ""


def test_a_real_databases_origin_does_not_say_drill(tmp_path: Path) -> None:
    place = county.empty_wutai(tmp_path)

    assert checkpoint.make(place.database, AT).checkpoint.origin.startswith("xianli/wutai-2023/")
    assert "drill" not in make_again(place).checkpoint.origin


def make_again(place: County) -> Made:
    return checkpoint.make(place.database, AT + timedelta(hours=1))


def test_a_checkpoint_is_an_event_of_the_program_and_the_journal_verifies(place: County) -> None:
    made = make(place)
    rows = place.sql("SELECT stream, kind, actor, role, body FROM journal ORDER BY seq DESC")

    stream, kind, actor, role, body = rows[0]
    assert (stream, kind) == ("checkpoints", "checkpoint_made")
    assert (actor, role) == ("system", "system")
    assert isinstance(body, bytes)
    assert json.loads(body)["evidence"] == {
        "origin": made.checkpoint.origin,
        "size": made.checkpoint.size,
        "root": made.checkpoint.root_text,
    }
    assert integrity(place) == []


def integrity(place: County, *receipts: Path) -> list[tuple[str, int | None]]:
    given = [file.read_text() for file in receipts]
    with place.database.reading() as connection:
        found = audit.report(connection, receipts=given).integrity
    return [(one.code, one.seq) for one in found]


def test_where_nothing_was_written_since_no_second_checkpoint_is_made(place: County) -> None:
    first = make(place)
    before = every_row(place)
    again = make(place, 1)

    assert (again.new, again.checkpoint) == (False, first.checkpoint)
    assert every_row(place) == before
    fault(place, 1)
    assert make(place, 1).checkpoint.size == first.checkpoint.size + 2


def test_a_checkpoint_is_due_once_a_day(place: County) -> None:
    def due(day: int) -> bool:
        with place.database.reading() as connection:
            return checkpoint.due(connection, CONFIRMED + day * ONE_DAY)

    assert due(0)
    make(place)
    assert not due(0)
    assert due(1)


def test_a_checkpoint_that_says_otherwise_than_the_journal_is_found(place: County) -> None:
    seq = make(place).checkpoint.size + 1
    [(body,)] = place.sql("SELECT body FROM journal WHERE seq = ?", seq)
    assert isinstance(body, bytes)
    document = json.loads(body)
    document["evidence"]["size"] -= 1
    forged = json.dumps(
        document, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    ).encode()
    place.tamper(
        "UPDATE journal SET body = ?, hash = ? WHERE seq = ?",
        forged,
        hashlib.sha256(forged).hexdigest(),
        seq,
    )

    assert integrity(place) == [("checkpoint_differs", seq)]


# The witness ------------------------------------------------------------------------------------


def test_the_witness_signs_what_it_sees_first_and_what_extends_it(
    place: County, tmp_path: Path
) -> None:
    first = witness.witness(send(place, tmp_path / "1"), tmp_path / "state", "xinzhou", AT)
    register(place, tmp_path / "state")
    checkpoint.import_receipt(place.database, first.file)
    fault(place)
    second = witness.witness(send(place, tmp_path / "2"), tmp_path / "state", None, AT)

    assert (first.first, second.first) == (True, False)
    assert second.key == first.key
    assert second.receipt.checkpoint.size > first.receipt.checkpoint.size
    request = note.read_request((tmp_path / "2").read_text(), "2")
    assert request.old == first.receipt.checkpoint.size
    assert request.proof
    assert note.cosigned_at(second.receipt, second.key) == AT
    with place.database.reading() as connection:
        [seen] = checkpoint.seen(connection)
    assert (seen.witness, seen.size, seen.at) == ("xinzhou", request.old, AT)


def test_the_receipt_is_a_cosignature_of_c2sp(place: County, tmp_path: Path) -> None:
    done = witness.witness(send(place, tmp_path / "1"), tmp_path / "state", "xinzhou", AT)

    body, _, line = done.file.read_text().partition("\n\n")
    dash, name, data = line.removesuffix("\n").split(" ")
    blob = base64.b64decode(data)
    vkey_name, vkey_id, vkey = (
        (tmp_path / "state" / "witness.pub").read_text().strip().split("+", 2)
    )

    public = base64.b64decode(vkey)
    assert (dash, name, len(blob)) == ("\u2014", "xinzhou", 4 + 8 + 64)
    assert vkey_name == name
    assert hashlib.sha256(name.encode() + b"\n" + public).digest()[:4] == blob[:4]
    assert blob[:4].hex() == vkey_id
    assert public[:1] == b"\4"
    assert int.from_bytes(blob[4:12], "big") == int(AT.timestamp())
    signed = f"cosignature/v1\ntime {int(AT.timestamp())}\n{body}\n".encode()
    assert signing.verifies(blob[12:], signed, signing.PublicKey(public[1:]))
    assert not signing.verifies(blob[12:], signed[:-1], signing.PublicKey(public[1:]))


def test_the_same_checkpoint_again_is_signed_again(place: County, tmp_path: Path) -> None:
    file = send(place, tmp_path / "1")
    first = witness.witness(file, tmp_path / "state", None, AT)
    register(place, tmp_path / "state")
    checkpoint.import_receipt(place.database, first.file)
    with place.database.reading() as connection:
        made = first.receipt.checkpoint
        file.write_text(checkpoint.request(connection, made, None).text)

    again = witness.witness(file, tmp_path / "state", None, AT + timedelta(days=1))

    assert again.receipt.checkpoint == first.receipt.checkpoint
    assert note.cosigned_at(again.receipt, again.key) == AT + timedelta(days=1)


def memory(state: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in state.iterdir() if file.suffix == ".receipt"}


def refused(file: Path, state: Path) -> str:
    """Why the witness refuses; it has signed nothing and forgotten nothing."""
    before = memory(state)
    with pytest.raises((JournalBroken, Conflict, BadFile)) as error:
        witness.witness(file, state, None, AT)
    assert not Path(f"{file}.receipt").exists()
    assert memory(state) == before
    assert error.value.remedy
    return f"{error.value.status} {error.value.code}"


@pytest.fixture
def two_rounds(place: County, tmp_path: Path) -> tuple[County, str, Path]:
    """A county witnessed, gone on, witnessed again; its old copy from between; the state."""
    witnessed(place, tmp_path)
    old = county.copy(place, tmp_path / "old").url
    fault(place)
    fault(place)
    witnessed(place, tmp_path)
    return place, old, tmp_path / "state"


def test_a_rollback_is_refused(two_rounds: tuple[County, str, Path], tmp_path: Path) -> None:
    _, _, state = two_rounds
    shutil.copy(tmp_path / "round-0", tmp_path / "again")

    assert refused(tmp_path / "again", state) == "6 rollback"


def test_a_fork_is_refused(two_rounds: tuple[County, str, Path], tmp_path: Path) -> None:
    _, old, state = two_rounds
    with county_at(old) as fork:
        assert refused(send(fork, tmp_path / "short"), state) == "6 rollback"
        for _ in range(2):
            fault(fork, code=county.TOWN[1])
        same = send(fork, tmp_path / "same")
        sizes = [
            note.read_request(f.read_text(), "").checkpoint.size
            for f in (same, tmp_path / "round-1")
        ]
        assert sizes[0] >= sizes[1]
        for _ in range(5):
            fault(fork, code=county.TOWN[1])
        longer = send(fork, tmp_path / "long")
        size = note.read_request((tmp_path / "round-1").read_text(), "").checkpoint.size
        forged = send(fork, tmp_path / "forged", since=size)

        # Its honest proof begins where the witness was before; the forged one proves nothing.
        assert refused(longer, state) == "4 not_from_here"
        assert refused(forged, state) == "6 fork"


@contextmanager
def county_at(url: str) -> Iterator[County]:
    """A county opened for the length of a block."""
    place = county.open_at(url)
    yield place
    place.database.close()


@pytest.mark.parametrize("begins", [0, None])
def test_another_root_of_the_same_size_is_a_fork(
    place: County, tmp_path: Path, begins: int | None
) -> None:
    """Wherever its proof claims to begin: there is nothing to ask the county for anew."""
    file = send(place, tmp_path / "1")
    witness.witness(file, tmp_path / "state", None, AT)
    request = note.read_request(file.read_text(), "1")
    twisted = Checkpoint(request.checkpoint.origin, request.checkpoint.size, b"\1" * 32)
    other = tmp_path / "other"
    old = request.checkpoint.size if begins is None else begins
    other.write_text(note.Request(old, (), twisted).text)

    assert refused(other, tmp_path / "state") == "6 fork"


def test_no_mutated_request_is_signed(two_rounds: tuple[County, str, Path], tmp_path: Path) -> None:
    """Each line of a request changed, doubled or dropped: refused, or the very same checkpoint."""
    place, _, state = two_rounds
    for _ in range(3):
        fault(place)
    good = send(place, tmp_path / "good").read_text()
    request = note.read_request(good, "good")
    origin_line = 2 + len(request.proof)
    lines = good.split("\n")
    refusals = signed = 0
    for number, line in enumerate(lines):
        for new in ([], [line, line], [line[::-1]], [line + "A"], ["7"], [line.upper()]):
            bent, copy = tmp_path / "bent", tmp_path / "copy"
            bent.write_text("\n".join([*lines[:number], *new, *lines[number + 1 :]]))
            shutil.copytree(state, copy)
            try:
                done = witness.witness(bent, copy, None, AT)
            except (JournalBroken, Conflict, BadFile):
                refusals += 1
            else:
                signed += 1
                same = done.receipt.checkpoint.origin == request.checkpoint.origin
                # Another name is another journal, of which the witness has seen nothing.
                assert same or number == origin_line
                assert done.receipt.checkpoint.root == request.checkpoint.root
            shutil.rmtree(copy)

    assert refusals > signed > 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "old 0\n",
        "old 0\n\nxianli\n5\n",
        "old 0\n\nxianli\n05\n" + "A" * 43 + "=\n",
        "old 0\n\nxianli\n-5\n" + "A" * 43 + "=\n",
        "old x\n\nxianli\n5\n" + "A" * 43 + "=\n",
        "old 0\nAAAA\n\nxianli\n5\n" + "A" * 43 + "=\n",
        "old 0\n\nxianli\n5\n" + "A" * 43 + "=",
        "old 0\n\n\n5\n" + "A" * 43 + "=\n",
        "old 0\n\nxianli\n5\n" + "A" * 42 + "B=\n",
        "new 0\n\nxianli\n5\n" + "A" * 43 + "=\n",
        "\0" * 100,
    ],
)
def test_what_is_no_request_is_told_as_a_bad_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "file").write_text(text)

    assert refused(tmp_path / "file", tmp_path / "state") == "3 bad_file"


def test_extension_lines_are_signed_with_the_rest(tmp_path: Path) -> None:
    text = "old 0\n\nexample.org/log\n5\n" + "A" * 43 + "=\nlater extension\n"
    (tmp_path / "file").write_text(text)

    done = witness.witness(tmp_path / "file", tmp_path / "state", None, AT)

    assert done.receipt.checkpoint.extensions == ("later extension",)
    bent = done.receipt.text.replace("later", "sooner")
    assert note.cosigned_at(done.receipt, done.key) == AT
    assert note.cosigned_at(note.read_receipt(bent, ""), done.key) is None


def test_a_request_signed_by_its_log_is_read_too(tmp_path: Path) -> None:
    body = "old 0\n\nexample.org/log\n5\n" + "A" * 43 + "=\n"
    (tmp_path / "file").write_text(body + "\n\u2014 example.org/log AAAAAAAA\n")

    done = witness.witness(tmp_path / "file", tmp_path / "state", None, AT)

    assert done.receipt.checkpoint.size == 5


def test_one_witness_serves_many_journals(place: County, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = county.empty_wutai(tmp_path / "other")
    witness.witness(send(place, tmp_path / "1"), tmp_path / "state", None, AT)
    made = checkpoint.make(other.database, AT)
    with other.database.reading() as connection:
        (tmp_path / "2").write_text(checkpoint.request(connection, made.checkpoint, None).text)

    done = witness.witness(tmp_path / "2", tmp_path / "state", None, AT)

    assert done.first
    assert len(memory(tmp_path / "state")) == 2


def test_a_witness_keeps_its_name_and_key(place: County, tmp_path: Path) -> None:
    file = send(place, tmp_path / "1")
    for bad in ("忻州", "a b", "a+b", ""):
        with pytest.raises(UsageFault):
            witness.witness(file, tmp_path / f"state-{len(bad)}", bad or "x y", AT)
    witness.witness(file, tmp_path / "state", "xinzhou", AT)
    with pytest.raises(UsageFault):
        witness.witness(file, tmp_path / "state", "other", AT)
    (tmp_path / "state" / "witness.key").write_bytes(os.urandom(32))
    with pytest.raises(BadFile):
        witness.witness(file, tmp_path / "state", None, AT)
    (tmp_path / "state" / "witness.key").write_bytes(b"short")
    with pytest.raises(BadFile):
        witness.witness(file, tmp_path / "state", None, AT)


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from workflow import witness
moment, count = sys.argv[3], 0
real = Path.replace
def replace(self, target):
    if str(target).endswith(".receipt"):
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        real(self, target)
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)
Path.replace = replace
witness.witness(Path(sys.argv[1]), Path(sys.argv[2]), None, datetime.now(UTC))
"""


@pytest.mark.crash
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_witness_killed_around_its_rename_keeps_a_good_state(
    two_rounds: tuple[County, str, Path], tmp_path: Path, moment: str
) -> None:
    place, _, state = two_rounds
    before = memory(state)
    fault(place)
    file = send(place, tmp_path / "next")
    asked = [sys.executable, "-c", KILLED, str(file), str(state), moment]

    killed = subprocess.run(asked, cwd=ROOT, check=False)

    assert killed.returncode == -signal.SIGKILL
    assert not Path(f"{file}.receipt").exists()
    assert (memory(state) == before) is (moment == "before")
    since = None if moment == "before" else make(place).checkpoint.size
    with place.database.reading() as connection:
        request = checkpoint.request(connection, make_checkpoint(file), since)
        file.write_text(request.text)
    done = witness.witness(file, state, None, AT)
    checkpoint.import_receipt(place.database, done.file)


def make_checkpoint(file: Path) -> Checkpoint:
    return note.read_request(file.read_text(), "").checkpoint


@pytest.mark.crash
def test_two_witnesses_at_once_on_one_directory_wait_for_each_other(
    place: County, tmp_path: Path
) -> None:
    """Of two continuations of one checkpoint only one is signed, however they race."""
    witnessed(place, tmp_path)
    old = county.copy(place, tmp_path / "old").url
    fault(place)
    one = send(place, tmp_path / "one")
    with county_at(old) as fork:
        fault(fork, code=county.TOWN[1])
        other = send(fork, tmp_path / "two")
    script = (
        "import sys, time\nfrom datetime import UTC, datetime\nfrom pathlib import Path\n"
        "from workflow import witness\nfrom states.errors import CaseError\n"
        "while time.time() < float(sys.argv[3]): pass\n"
        "try:\n    witness.witness(Path(sys.argv[1]), Path(sys.argv[2]), None, datetime.now(UTC))\n"
        "except CaseError as error:\n    sys.exit(error.status)\n"
    )
    start = str(time.time() + 2)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(file), str(tmp_path / "state"), start], cwd=ROOT
        )
        for file in (one, other)
    ]

    ended = sorted(racer.wait() for racer in racers)

    assert ended[0] == 0
    assert ended[1] in (4, 6)


# Receipts ---------------------------------------------------------------------------------------


def test_a_receipt_comes_back_once_and_the_proof_is_graded(place: County, tmp_path: Path) -> None:
    receipt = witnessed(place, tmp_path)
    before = every_row(place)
    checkpoint.import_receipt(place.database, receipt)
    assert every_row(place) == before
    fault(place)
    with place.database.reading() as connection:
        found = audit.verification(connection)

    assert found.verified
    assert found.proof == {"witnessed": 9, "signed": 0, "clock_only": 1}
    assert found.grades[CODE] == "clock_only"


@pytest.mark.parametrize(
    "bend",
    [
        lambda text: "",
        lambda text: text.replace("xinzhou", "taiyuan"),
        lambda text: text.replace("xianli/tiny/drill/", "xianli/tiny/"),
        lambda text: text[:-6] + "AAAA" + text[-2:],
        lambda text: text.partition("\n\n")[0] + "\n",
        lambda text: text.replace("\n", "\nx", 1),
    ],
)
def test_a_receipt_that_nobody_gave_is_refused(
    place: County, tmp_path: Path, bend: Callable[[str], str]
) -> None:
    receipt = witnessed(place, tmp_path)
    bent = tmp_path / "bent"
    bent.write_text(bend(receipt.read_text()))
    before = every_row(place)

    with pytest.raises(BadFile):
        checkpoint.import_receipt(place.database, bent)

    assert every_row(place) == before


def test_the_receipt_of_a_witness_that_is_not_registered_is_refused(
    place: County, tmp_path: Path
) -> None:
    done = witness.witness(send(place, tmp_path / "1"), tmp_path / "state", "xinzhou", AT)

    with pytest.raises(BadFile) as refusal:
        checkpoint.import_receipt(place.database, done.file)

    assert "witness-key add" in str(refusal.value.remedy)


def test_only_the_county_office_registers_a_witness_and_with_its_letter(
    place: County, tmp_path: Path
) -> None:
    witness.witness(send(place, tmp_path / "1"), tmp_path / "state", "xinzhou", AT)
    for actor in ("wang", "shen"):
        with pytest.raises(NotPermitted):
            register(place, tmp_path / "state", actor)
    public, now = tmp_path / "state" / "witness.pub", county.noon(CONFIRMED)
    with pytest.raises(UsageFault):
        checkpoint.add_witness(place.database, public, [], actor="zhang", now=now)
    register(place, tmp_path / "state")
    with pytest.raises(Conflict):
        register(place, tmp_path / "state")
    assert integrity(place) == []


def test_the_receipts_of_a_revoked_witness_count_no_longer(place: County, tmp_path: Path) -> None:
    receipt = witnessed(place, tmp_path)
    now = county.noon(CONFIRMED)
    checkpoint.revoke_witness(place.database, "xinzhou", actor="zhang", now=now)

    with place.database.reading() as connection:
        assert checkpoint.seen(connection) == []
        found = audit.report(connection)
    with pytest.raises(BadFile):
        checkpoint.import_receipt(place.database, receipt)
    with pytest.raises(Conflict):
        register(place, tmp_path / "state")
    with pytest.raises(UsageFault):
        checkpoint.revoke_witness(place.database, "xinzhou", actor="zhang", now=now)
    assert [one.code for one in found.integrity] == ["receipt_invalid"]


# A cheating county ------------------------------------------------------------------------------


def test_an_old_backup_put_back_is_found_against_the_receipt(
    two_rounds: tuple[County, str, Path], tmp_path: Path
) -> None:
    _, old, _ = two_rounds
    receipt = tmp_path / "round-1.receipt"
    with county_at(old) as back:
        assert integrity(back) == []
        assert integrity(back, receipt) == [("receipt_differs", None)]
        with pytest.raises(JournalBroken) as refusal:
            checkpoint.import_receipt(back.database, receipt)
        assert "备份" in str(refusal.value.remedy)
        # Written on afterwards until it is longer than what was witnessed: a fork.
        for _ in range(9):
            fault(back, code=county.TOWN[1])
        size = note.read_receipt(receipt.read_text(), "").checkpoint.size
        assert integrity(back, receipt) == [("receipt_differs", size)]


def cut(place: County, number: int) -> None:
    """Takes the last events away, and with them what would show it."""
    place.tamper("DELETE FROM journal WHERE seq > (SELECT MAX(seq) FROM journal) - ?", number)


def test_a_cut_tail_is_found_against_the_receipt(place: County, tmp_path: Path) -> None:
    """A violation that nobody should know of, and all after it, taken away without a trace."""
    old = county.copy(place, tmp_path / "before")
    pairs = (("type", "kang_sealed"), ("by", "official"), ("what", "封火炕"))
    place.advance(CODE, FactKind.VIOLATION, CONFIRMED, *pairs)
    receipt = witnessed(place, tmp_path)

    assert integrity(old) == []
    assert [code for code, _ in integrity(old, receipt)] == ["receipt_invalid"]
    register(old, tmp_path / "state")
    assert [code for code, _ in integrity(old, receipt)] == ["receipt_differs"]


def test_a_tail_cut_with_the_receipt_left_stops_every_permission(
    place: County, tmp_path: Path
) -> None:
    codes = county.TOWN[:1]
    county.carry(place, codes, State.STABLE_SEASON)
    county.winter(place, codes)
    late = (PERMITTED - CONFIRMED).days
    fault(place, late, county.TOWN[1])
    witnessed(place, tmp_path, late)
    now = county.noon(PERMITTED)
    role = Role.AUDITOR
    setup.add_officer(place.database, "new", "新", role, None, None, actor="zhang", now=now)
    witnessed(place, tmp_path, late)
    place.tamper("DELETE FROM journal WHERE seq > (SELECT MAX(seq) - 2 FROM journal)")
    before = every_row(place)

    with pytest.raises(JournalBroken):
        place.advance(codes[0], Trigger.PERMIT, PERMITTED)

    assert every_row(place) == before


def test_no_permission_is_given_on_a_journal_that_a_witness_saw_otherwise(
    place: County, tmp_path: Path
) -> None:
    """The whole tail forged: every chain and row fits, only the receipt does not."""
    codes = county.TOWN[:2]
    county.carry(place, codes, State.STABLE_SEASON)
    county.winter(place, codes)
    late = (PERMITTED - CONFIRMED).days
    witnessed(place, tmp_path, late)
    place.carry_out([county.permit(codes[0])], "zhang", PERMITTED)
    rewrite_the_county_stream(place)

    with pytest.raises(JournalBroken) as refusal:
        place.advance(codes[1], Trigger.PERMIT, PERMITTED)

    assert "见证" in refusal.value.message
    assert place.state(codes[1]) is State.STABLE_SEASON
    with place.database.reading() as connection:
        assert "receipt_differs" in {one.code for one in audit.report(connection).integrity}


def rewrite_the_county_stream(place: County) -> None:
    """The last event of the gates' stream says another day, with a hash that fits."""
    [(seq, body)] = place.sql(
        "SELECT seq, body FROM journal WHERE stream = 'gates' ORDER BY version DESC LIMIT 1"
    )
    assert isinstance(body, bytes)
    forged = body.replace(b'"opened_on":"2023-05-10"', b'"opened_on":"2023-05-09"')
    assert forged != body
    place.tamper(
        "UPDATE journal SET body = ?, hash = ? WHERE seq = ?",
        forged,
        hashlib.sha256(forged).hexdigest(),
        seq,
    )


def test_a_signature_exchanged_after_the_witness_saw_it_is_found(
    place: County, tmp_path: Path
) -> None:
    witnessed(place, tmp_path)
    place.tamper("UPDATE journal SET signature = 'x' WHERE seq = 5")

    assert {code for code, _ in integrity(place)} >= {"receipt_differs", "signature_invalid"}


def test_a_checkpoint_is_not_sent_of_a_journal_that_is_no_longer_what_it_says(
    place: County, tmp_path: Path
) -> None:
    made = make(place)
    rewrite_the_county_stream(place)

    with place.database.reading() as connection, pytest.raises(JournalBroken):
        checkpoint.request(connection, made.checkpoint, None)
    with place.database.reading() as connection, pytest.raises(UsageFault):
        checkpoint.request(connection, made.checkpoint, made.checkpoint.size + 1)


# The tail that nobody has seen ------------------------------------------------------------------


def status(place: County, now: datetime) -> checkpoint.Status:
    with place.database.reading() as connection:
        return checkpoint.status(connection, now)


def test_the_unseen_tail_is_counted_dated_and_warned_of_after_a_day(
    place: County, tmp_path: Path
) -> None:
    unseen = status(place, county.noon(CONFIRMED))
    assert (unseen.seen, unseen.last, unseen.overdue) == (None, None, True)
    witnessed(place, tmp_path)
    # The registration of the witness came after what it saw.
    assert status(place, county.noon(CONFIRMED)).unseen == 1
    witnessed(place, tmp_path)
    clean = status(place, county.noon(CONFIRMED + 9 * ONE_DAY))
    assert (clean.unseen, clean.oldest, clean.overdue) == (0, None, False)
    fault(place, 3)
    fault(place, 5)
    since = county.noon(CONFIRMED + 3 * ONE_DAY)

    day_later = status(place, since + timedelta(hours=24))
    later = status(place, since + timedelta(hours=24, seconds=1))

    assert (day_later.unseen, day_later.oldest) == (2, since)
    assert (day_later.overdue, later.overdue) == (False, True)
    assert later.size == day_later.size


def test_the_tree_of_the_journal_is_that_of_its_events(place: County) -> None:
    with place.database.reading() as connection:
        tree = checkpoint.tree(connection)
        assert isinstance(tree, Tree)
    assert len(tree) == len(place.sql("SELECT seq FROM journal"))


# What the auditor takes away --------------------------------------------------------------------


def alone(folder: Path, *arguments: str, bare: bool = False) -> tuple[int, dict[str, object]]:
    """`python verify.py … --json` in a folder of its own; `bare` without any library."""
    folder.mkdir(exist_ok=True)
    shutil.copy(verify.__file__, folder / "verify.py")
    options = ["-I", "-S"] if bare else ["-I"]
    done = subprocess.run(
        [sys.executable, *options, "verify.py", *arguments, "--json"],
        cwd=folder,
        env={"PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    answer: dict[str, object] = json.loads(done.stdout)
    return done.returncode, answer


def bundle(place: County, file: Path) -> str:
    with place.database.reading() as connection:
        audit.write_bundle(connection, file)
    return str(file)


def codes(answer: dict[str, object]) -> list[object]:
    findings = answer["findings"]
    assert isinstance(findings, list)
    return [one["code"] for one in findings]


def test_the_bundle_alone_grades_its_cases(place: County, tmp_path: Path) -> None:
    witnessed(place, tmp_path)
    fault(place)
    file = bundle(place, tmp_path / "bundle")

    status, answer = alone(tmp_path / "alone", file)

    assert (status, codes(answer)) == (0, [])
    assert answer["proof"] == {"witnessed": 9, "signed": 0, "clock_only": 1}
    assert answer["signatures_checked"] is True
    assert answer["witnesses"] == [(tmp_path / "state" / "witness.pub").read_text().strip()]


def test_on_a_bare_python_the_rest_is_checked_and_signatures_said_not_to_be(
    two_rounds: tuple[County, str, Path], tmp_path: Path
) -> None:
    place, old, _ = two_rounds
    file = bundle(place, tmp_path / "bundle")
    receipt = str(tmp_path / "round-1.receipt")

    status, answer = alone(tmp_path / "alone", file, bare=True)
    with county_at(old) as back:
        told = alone(
            tmp_path / "alone",
            bundle(back, tmp_path / "old.jsonl"),
            "--receipt",
            receipt,
            bare=True,
        )

    assert (status, codes(answer)) == (0, [])
    assert answer["proof"] == {"witnessed": 0, "signed": 0, "clock_only": 10}
    assert answer["signatures_checked"] is False
    assert (told[0], codes(told[1])) == (6, ["receipt_differs"])


def test_the_receipt_in_the_auditors_hand_counts_though_the_bundle_has_none(
    two_rounds: tuple[County, str, Path], tmp_path: Path
) -> None:
    place, _, _ = two_rounds
    place.sql("DELETE FROM witness_receipt")
    file = bundle(place, tmp_path / "bundle")

    _, without = alone(tmp_path / "alone", file)
    _, given = alone(tmp_path / "alone", file, "--receipt", str(tmp_path / "round-1.receipt"))

    assert without["proof"] == {"witnessed": 0, "signed": 0, "clock_only": 10}
    assert given["proof"] == {"witnessed": 10, "signed": 0, "clock_only": 0}


def test_what_was_seen_is_a_value(place: County, tmp_path: Path) -> None:
    file = witnessed(place, tmp_path)
    with place.database.reading() as connection:
        [seen] = checkpoint.seen(connection)
        last = checkpoint.last_seen(connection)

    assert isinstance(seen, Seen)
    assert last == seen
    assert seen.root == note.read_receipt(file.read_text(), "").checkpoint.root


@given(
    st.sampled_from(["signature", "note", "key", "bytes", "valid_until", "size"]),
    st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.just("9" * 5000),
)
@settings(max_examples=60)
def test_whatever_stands_in_a_bundle_the_audit_goes_to_its_end(
    some_bundle: list[dict[str, object]], name: str, value: object
) -> None:
    for place, line in enumerate(some_bundle):
        if name in line:
            bent = [*some_bundle[:place], {**line, name: value}, *some_bundle[place + 1 :]]
            assert verify.examine(bent, [str(value)]).events > 0


@pytest.fixture(scope="module")
def some_bundle(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """A few lines of every kind, a receipt and a key among them."""
    folder = tmp_path_factory.mktemp("bundle")
    place = county.fresh(folder)
    (folder / "keys").mkdir()
    keys.register_key(place, folder / "keys", "wang")
    witnessed(place, folder)
    with place.database.reading() as connection:
        lines = [dict(line) for line in audit.lines(connection)]
    kept: dict[str, list[dict[str, object]]] = {}
    for line in lines:
        kept.setdefault(str(line["type"]), []).append(line)
    return [line for found in kept.values() for line in (*found[:3], *found[-4:])]
