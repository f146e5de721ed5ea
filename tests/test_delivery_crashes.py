"""Processes that die at every step of a delivery, and several that deliver at once."""

import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import county
import pytest
from postoffice import MORNING, Inbox, configured, mail_config, mail_server, messages, queue

from notifications import channels
from workflow import outbox
from workflow.db import Database

HERE = Path(__file__).parent
OPENING = """
import os, signal, sys
from contextlib import contextmanager
from datetime import datetime
sys.path.insert(0, {root!r})
from notifications.channels import Folder, Smtp
from workflow import db, outbox, settings
from workflow.db import Database
def deliver(file):
    database = db.connect(file)
    found = settings.load(None, database.home, {{}})
    return outbox.deliver(database, found, lambda: datetime.fromisoformat({morning!r}))
print("ready", flush=True)
"""
# Delivers in a child that dies at the Nth of: before and after each commit, and each send.
DIES = """
def step(what):
    global steps
    steps += 1
    print(what, flush=True)
    if steps == last:
        os.kill(os.getpid(), signal.SIGKILL)
commit = Database.transaction
@contextmanager
def transaction(self):
    with commit(self) as connection:
        yield connection
        step("before commit")
    step("after commit")
Database.transaction = transaction
def watched(send):
    def watching(self, letter, now):
        step(f"before {self.name}")
        try:
            send(self, letter, now)
        finally:
            step(f"after {self.name}")
    return watching
Smtp.send, Folder.send = watched(Smtp.send), watched(Folder.send)
for line in sys.stdin:
    steps, last = 0, int(line)
    url, folder = (sys.stdin.readline().rstrip("\\n") for _ in range(2))
    os.chdir(folder)
    child = os.fork()
    if child == 0:
        deliver(url)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print("killed" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}", flush=True)
"""
DELIVERS = """
sys.stdin.readline()
print(deliver(sys.argv[1]).sent, flush=True)
"""
REFUSED = "nobody@example.gov.cn"


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that waits, loaded, for a line on its standard input."""
    opening = OPENING.format(root=str(HERE.parent), morning=MORNING.isoformat())
    process = subprocess.Popen(
        [sys.executable, "-c", opening + script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def until_it_dies(process: subprocess.Popen[str], url: str, last: int) -> tuple[bool, list[str]]:
    """One delivery that dies at its step `last`: whether it got that far, and its steps."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{last}\n{url}\n{Path.cwd()}\n")
    process.stdin.flush()
    steps: list[str] = []
    for line in process.stdout:
        word = line.rstrip("\n")
        if word == "killed":
            return True, steps
        if word == "ended 0":
            return False, steps
        assert not word.startswith("ended"), steps
        steps.append(word)
    pytest.fail("the process that starts the deliveries died")


def identities(database: Database, *keys: str) -> set[str]:
    """The Message-IDs that these keys have in this database."""
    with database.reading() as connection:
        first = connection.exec_driver_sql("SELECT hash FROM journal WHERE seq = 1").scalar()
    return {f"<xianli.{channels.identity(str(first), key)[:32]}@example.gov.cn>" for key in keys}


@pytest.mark.crash
def test_whenever_a_delivery_dies_every_letter_arrives_and_none_after_it_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    died, process = [], start(DIES)
    for last in range(1, 100):
        folder = tmp_path / str(last)
        folder.mkdir()
        monkeypatch.chdir(folder)
        database = county.fresh(folder, drill=False, verified=True).database
        queue(database, "a", "b")
        queue(database, "refused", person="nobody")
        inbox = Inbox({REFUSED: "550 no such user"})
        with mail_server(inbox) as port:
            settings = configured(database, mail_config(port, "wang", "nobody"))
            database.close()
            killed, steps = until_it_dies(process, database.url, last)
            recorded = [key for key, row in messages(database).items() if row.status == "sent"]
            before = Counter(inbox.ids)
            rest = outbox.deliver(database, settings, lambda: MORNING + outbox.CLAIM)
            again = outbox.deliver(database, settings, lambda: MORNING + timedelta(days=3))

        assert again.sent == again.given_up == again.waiting == 0
        rows = messages(database)
        assert {key: row.status for key, row in rows.items()} == {
            "a": "sent",
            "b": "sent",
            "refused": "given_up",
        }
        # None lost, none that nobody queued, and what was recorded as sent not sent again.
        arrived = Counter(inbox.ids)
        assert set(arrived) == identities(database, "a", "b")
        for identity in identities(database, *recorded):
            assert arrived[identity] == before[identity] == 1
        # At most the one letter that was under way comes twice, as the same letter.
        twice = [identity for identity, times in arrived.items() if times > 1]
        assert len(twice) <= 1
        assert max(arrived.values()) <= 2
        if twice:
            assert steps[-1] in ("after smtp", "before commit")
        # The refused one lies in the folder once.
        assert len(list((folder / "outbox").rglob("refused-*.txt"))) == 1
        if not killed:
            assert rest.sent == rest.given_up == 0
            break
        died.append(steps[-1])
    else:
        pytest.fail("the delivery never came to its end")
    process.communicate()

    # Three claims, three sends, three records and the folder, each before and after.
    assert Counter(died) == {
        "before commit": 6,
        "after commit": 6,
        "before smtp": 3,
        "after smtp": 3,
        "before outbox": 1,
        "after outbox": 1,
    }


@pytest.mark.crash
def test_several_deliveries_at_once_send_each_letter_once(tmp_path: Path) -> None:
    database = county.fresh(tmp_path, drill=False, verified=True).database
    keys = [f"digest:{number:02}" for number in range(24)]
    queue(database, *keys)
    inbox = Inbox()
    with mail_server(inbox) as port:
        configured(database, mail_config(port, "wang"))
        processes = [start(DELIVERS, database.url) for _ in range(3)]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        sent = [int(process.communicate(timeout=120)[0]) for process in processes]

    assert sum(sent) == len(keys)
    assert Counter(inbox.ids) == dict.fromkeys(identities(database, *keys), 1)
    assert {row.status for row in messages(database).values()} == {"sent"}
    assert {row.attempts for row in messages(database).values()} == {1}
