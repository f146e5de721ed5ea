"""Signatures, witness and quarantine at the command line, as people would type them."""

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import county
import keys
import office
import pytest
from keys import PASSPHRASE, needs_openssh
from office import Office

ROOT = Path(__file__).parent.parent


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    return office.make_office(tmp_path, capsys)


def at_a_terminal(answers: Sequence[str], *arguments: str) -> tuple[int, str]:
    """Runs a command on a terminal of its own, typing the answers to what it asks."""
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import cli; cli.main()"
    process, terminal = pty.fork()
    if process == 0:
        os.environ.pop("SSH_AUTH_SOCK", None)
        os.execv(sys.executable, [sys.executable, "-c", script, *arguments])
    shown, left = b"", list(answers)
    while True:
        assert select.select([terminal], [], [], 60)[0], shown.decode("utf-8", "replace")
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
        asked = shown.decode("utf-8", "replace").count("口令")
        if left and asked > len(answers) - len(left) and shown.rstrip().endswith(b":"):
            os.write(terminal, f"{left.pop(0)}\n".encode())
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert left == [], shown.decode("utf-8", "replace")
    return os.waitstatus_to_exitcode(status), shown.decode("utf-8", "replace")


def with_key(desk: Office, login: str = "county") -> Path:
    """A key of this login, made and registered."""
    file = keys.key_file(desk.folder, f"{login}.key")
    assert desk.run("officer", "key", "add", login, f"{file}.pub").status == 0
    return file


def test_a_key_is_made_at_the_terminal_and_its_passphrase_is_not_shown(desk: Office) -> None:
    file = desk.folder / "mine"
    status, shown = at_a_terminal(
        [PASSPHRASE, PASSPHRASE], "--as", "county", "officer", "key", "new", str(file)
    )

    assert status == 0, shown
    key = keys.opened(file)
    assert key.key.fingerprint in shown
    assert PASSPHRASE not in shown


def test_two_different_passphrases_make_no_key(desk: Office) -> None:
    file = desk.folder / "mine"
    status, shown = at_a_terminal(["one", "two"], "officer", "key", "new", str(file))

    assert status == 2
    assert "不一样" in shown
    assert list(desk.folder.glob("mine*")) == []


def test_the_passphrase_is_asked_once_a_command_however_much_is_signed(desk: Office) -> None:
    file = with_key(desk)
    ledger = str(ROOT / "docs" / "example" / "ledger.csv")
    base = [*desk.acting, "--key-file", str(file)]

    # The same file twice: two transactions of one command.
    status, shown = at_a_terminal([PASSPHRASE], *base, "ledger", "import", ledger, ledger)

    assert status == 0, shown
    assert shown.count("口令") == 1
    rows = desk.place.sql("SELECT signature FROM journal WHERE seq > 4")
    assert len(rows) >= 3
    assert all(signature for (signature,) in rows)
    assert desk.run("audit", "verify").status == 0


def test_a_wrong_passphrase_writes_nothing(desk: Office) -> None:
    file = with_key(desk)
    before = desk.every_row()
    base = [*desk.acting, "--key-file", str(file)]
    catalogue = str(ROOT / "docs" / "example" / "catalogue.csv")

    status, shown = at_a_terminal(["wrong"], *base, "catalogue", "import", catalogue)

    assert status == 3
    assert "口令不对" in shown
    assert desk.every_row() == before


def test_reading_asks_for_no_passphrase_and_a_dry_run_neither(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(desk)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    ledger = str(ROOT / "docs" / "example" / "ledger.csv")

    for command in (["check"], ["officer", "list"], ["audit", "status"], ["audit", "verify"]):
        assert desk.run(*command).status == 0
    assert desk.run("ledger", "import", ledger, "--dry-run").status == 0


def test_who_has_a_key_and_does_not_use_it_is_told_how(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(desk)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("XIANLI_KEY", raising=False)
    before = desk.every_row()

    said = desk.run("officer", "add", "wang", "--name", "王", "--role", "acceptor")

    error = cast(dict[str, object], said.answer["error"])
    assert (said.status, error["status"], error["code"]) == (5, 5, "signature_needed")
    assert "--key-file" in str(error["remedy"])
    assert desk.every_row() == before


@needs_openssh
def test_the_agent_signs_without_a_word(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    file = keys.stock_key(desk.folder / "id")
    assert desk.run("officer", "key", "add", "county", f"{file}.pub").status == 0
    with keys.agent() as address:
        keys.add_to_agent(address, file)
        monkeypatch.setenv("SSH_AUTH_SOCK", address)
        said = desk.run("officer", "add", "wang", "--name", "王", "--role", "acceptor")
        assert said.status == 0, said.text

    [(signature,)] = desk.place.sql("SELECT signature FROM journal ORDER BY seq DESC LIMIT 1")
    assert signature
    assert desk.run("audit", "verify").status == 0


@needs_openssh
def test_a_key_without_passphrase_is_taken_from_the_environment(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = keys.stock_key(desk.folder / "id")
    assert desk.run("officer", "key", "add", "county", f"{file}.pub").status == 0
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("XIANLI_KEY", str(file))

    assert desk.run("officer", "add", "wang", "--name", "王", "--role", "acceptor").status == 0


def test_keys_are_listed_and_revoked(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    desk.run("officer", "add", "wang", "--name", "王", "--role", "acceptor")
    file = keys.key_file(desk.folder, "wang.key")
    added = desk.run("officer", "key", "add", "wang", f"{file}.pub", "--until", "2099-12-31")
    fingerprint = keys.opened(file).key.fingerprint

    assert added.answer == {"login": "wang", "key": fingerprint, "key_valid_until": "2099-12-31"}
    listed = json.loads(desk.run("officer", "list").text)
    assert [(one["key"], one["key_valid_until"]) for one in listed] == [
        (None, None),
        (fingerprint, "2099-12-31"),
    ]
    assert fingerprint in desk.run("officer", "list", as_json=False).text
    assert desk.run("officer", "key", "revoke", "wang").status == 0
    assert fingerprint not in desk.run("officer", "list", as_json=False).text
    assert desk.run("officer", "key", "revoke", "wang").status == 2
    assert desk.run("officer", "key", "add", "wang", f"{file}.pub").status == 4


def test_the_whole_round_with_the_witness(desk: Office) -> None:
    letter = desk.folder / "letter.pdf"
    letter.write_bytes(b"%PDF a letter")
    request, state = desk.folder / "to-witness.txt", desk.folder / "witness"
    none = desk.run("audit", "status").answer
    made = desk.run("audit", "checkpoint", request)
    signed = desk.run("audit", "witness", request, "--state", state, "--name", "xinzhou")
    early = desk.run("audit", "receipt", "import", f"{request}.receipt")
    added = desk.run("audit", "witness-key", "add", state / "witness.pub", "--attach", letter)
    kept = desk.run("audit", "receipt", "import", f"{request}.receipt")

    assert none["witnessed"] is None
    assert set(made.answer) >= {"origin", "size", "root", "recorded_at"}
    assert (made.answer["size"], made.answer["since"]) == (3, 0)
    assert signed.answer["root"] == made.answer["root"]
    assert signed.answer["first"] is True
    assert early.status == 3
    assert added.answer["key"] == signed.answer["witness_key"]
    assert kept.answer["size"] == 3
    assert desk.run("audit", "checkpoint", request).status == 2
    assert desk.run("audit", "checkpoint", request, "--force").answer["since"] == 3
    assert desk.run("audit", "witness", request, "--state", state).status == 0
    assert desk.run("audit", "receipt", "import", f"{request}.receipt").answer["size"] == 5
    status = desk.run("audit", "status").answer
    assert cast(dict[str, object], status["unwitnessed"])["events"] == 0
    assert "全部登记都已见证" in desk.run("audit", "status", as_json=False).text
    verified = desk.run("audit", "verify", "--receipt", f"{request}.receipt")
    assert (verified.status, verified.answer["findings"]) == (0, [])


def test_every_answer_of_proof_can_be_read_by_people(desk: Office) -> None:
    request, state = desk.folder / "to-witness.txt", desk.folder / "witness"
    letter = desk.folder / "letter.pdf"
    letter.write_bytes(b"%PDF a letter")
    lines = [
        desk.run(*command, as_json=False)
        for command in (
            ("audit", "status"),
            ("audit", "checkpoint", request),
            ("audit", "checkpoint"),
            ("audit", "witness", request, "--state", state),
            ("audit", "witness-key", "add", state / "witness.pub", "--attach", letter),
            ("audit", "receipt", "import", f"{request}.receipt"),
            ("audit", "status"),
        )
    ]

    assert [said.status for said in lines] == [0] * 7
    told = [said.text for said in lines]
    assert "还没有检查点" in told[0]
    assert "已做检查点：3 条" in told[1]
    assert "没有新的登记" in told[2]
    assert "第一次见到" in told[3]
    assert "请与来函核对" in told[4]
    assert "见证了前 3 条" in told[5]
    assert "未见证的登记 1 条" in told[6]


def test_the_witness_needs_no_database(desk: Office) -> None:
    request = desk.folder / "to-witness.txt"
    assert desk.run("audit", "checkpoint", request).status == 0
    desk.place.remove()

    assert desk.run("audit", "witness", request, "--state", desk.folder / "w").status == 0


def test_an_old_backup_is_refused_by_the_witness_and_found_by_the_auditor(desk: Office) -> None:
    letter = desk.folder / "letter.pdf"
    letter.write_bytes(b"%PDF a letter")
    request, state = desk.folder / "to-witness.txt", desk.folder / "witness"
    first = desk.folder / "first.txt"
    desk.run("audit", "checkpoint", first)
    desk.run("audit", "witness", first, "--state", state)
    desk.run("audit", "witness-key", "add", state / "witness.pub", "--attach", letter)
    old = replace(desk, place=county.copy(desk.place, desk.folder / "old"))
    desk.run("officer", "add", "wang", "--name", "王", "--role", "acceptor")
    desk.run("audit", "receipt", "import", f"{first}.receipt")
    desk.run("audit", "checkpoint", request)
    assert desk.run("audit", "witness", request, "--state", state).status == 0

    again = old.run("audit", "checkpoint", desk.folder / "again.txt", "--since", "0")
    refused = old.run("audit", "witness", desk.folder / "again.txt", "--state", state)
    own = old.run("audit", "verify")
    found = old.run("audit", "verify", "--receipt", f"{request}.receipt")
    imported = old.run("audit", "receipt", "import", f"{request}.receipt")

    assert again.status == 0
    assert refused.status == 6
    assert own.status == 0
    findings = cast(list[dict[str, object]], found.answer["findings"])
    assert (found.status, [one["code"] for one in findings]) == (6, ["receipt_differs"])
    assert imported.status == 6


def test_the_audits_commands_are_for_those_who_see_the_whole_county(desk: Office) -> None:
    unit = ("--name", "王", "--role", "unit_officer", "--unit", "103")
    desk.run("officer", "add", "wang", *unit)
    wang = desk.by("wang")

    for command in (
        ("audit", "checkpoint"),
        ("audit", "status"),
        ("audit", "receipt", "import", "x"),
        ("audit", "quarantine", "103-0001", "--reason", "x"),
        ("officer", "key", "revoke", "county"),
        ("audit", "witness-key", "revoke", "x"),
    ):
        before = desk.every_row()
        said = wang.run(*command)

        assert said.status in (2, 5), (command, said.text)
        assert desk.every_row() == before


def test_quarantine_at_the_command_line(desk: Office) -> None:
    desk.run("officer", "add", "shen", "--name", "沈", "--role", "auditor")
    example = ROOT / "docs" / "example"
    desk.run("catalogue", "import", example / "catalogue.csv")
    assert desk.run("ledger", "import", example / "ledger.csv").status == 0
    auditor = desk.by("shen")
    desk.place.reword("case:103-0001", "rural", "urban")
    command = ("audit", "quarantine", "103-0001", "--reason", "硬盘坏道")

    first = desk.run(*command)
    second = auditor.run(*command, as_json=False)

    assert first.answer["state"] == "proposed"
    assert second.status == 0, second.text
    assert "已隔离 103-0001" in second.text
    assert desk.run("audit", "verify").status == 6
    assert desk.run("audit", "verify").answer["quarantined"] == ["103-0001"]
    assert "已隔离" in desk.run("audit", "verify", as_json=False).text
    assert "已隔离" in desk.run("audit", "removal", as_json=False).text


def test_verify_alone_names_its_usage(tmp_path: Path) -> None:
    for arguments in (["--receipt"], ["--receipt", "x"], ["a", "b"], ["a", "--receipt"]):
        done = subprocess.run(
            [sys.executable, str(ROOT / "workflow" / "verify.py"), *arguments],
            capture_output=True,
            check=False,
        )

        assert done.returncode == 2
    (tmp_path / "bundle").write_text('{"type":"header","format":"xianli-bundle/1"}\n')
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "workflow" / "verify.py")),
            *(str(tmp_path / "bundle"), "--receipt", str(tmp_path / "none")),
        ],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 3
