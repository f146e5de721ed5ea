"""Real servers on loopback for letters to go to, and letters to go: mail, robots, a rude socket.

`loopback.pem` is a certificate that nobody else trusts, with its key beside it: for tests only.
"""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import letter_samples
import server
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from sqlalchemy import insert, select

from notifications import notices
from states.plan import Json
from workflow import settings, tables
from workflow.db import Database
from workflow.models import MessageRow
from workflow.operation import BINARIES
from workflow.settings import Settings

HERE = Path(__file__).parent
CERTIFICATE, KEY = HERE / "loopback.pem", HERE / "loopback-key.pem"
MORNING = datetime(2023, 6, 1, 1, 0, tzinfo=UTC)  # 09:00 in Shanghai
USER, PASSWORD = "qjb", "mima-yiersansi"
_MESSAGE = tables.MESSAGE


@dataclass
class Inbox:
    """A mail server's box; `answers` says what a stage (or a recipient) is answered instead."""

    answers: dict[str, str] = field(default_factory=dict)
    letters: list[EmailMessage] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.answers:
            return self.answers["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refused = self.answers.get("RCPT") or self.answers.get(address)
        if refused:
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if "DATA" in self.answers:
            return self.answers["DATA"]
        assert isinstance(envelope.content, bytes)
        letter = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        return "250 taken"

    @property
    def ids(self) -> list[str]:
        return [str(letter["Message-ID"]) for letter in self.letters]

    def check(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login)
        right = data == LoginPassword(USER.encode(), PASSWORD.encode())
        # A server that blurts out what it was given.
        told = f"535 5.7.8 no such user {data.login.decode()} {data.password.decode()}"
        return AuthResult(success=right, handled=right, message=None if right else told)


@contextmanager
def mail_server(inbox: Inbox, *, tls: bool = False, login: bool = False) -> Iterator[int]:
    """A mail server on loopback; its port."""
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE, KEY)

    def protocol() -> SMTP:
        return SMTP(
            inbox,
            hostname="loopback",
            tls_context=context,
            require_starttls=tls,
            authenticator=inbox.check if login else None,
            auth_required=login,
            auth_require_tls=tls,
            loop=loop,
        )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    opening = loop.create_server(protocol, "127.0.0.1", 0)
    server = asyncio.run_coroutine_threadsafe(opening, loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@contextmanager
def rude_server(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """A socket that `talk`s to each who connects, until the event is set; its port."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(10)
                talk(connection, over)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join()
        listener.close()


@dataclass
class Robot:
    """A robot's address: what it answers in turn (the last one stays), and what it was asked."""

    replies: list[tuple[int, Mapping[str, str], bytes] | None]
    asked: list[tuple[str, dict[str, Json]]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def next_reply(self) -> tuple[int, Mapping[str, str], bytes] | None:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def said(
    errcode: object, errmsg: str = "ok", status: int = 200
) -> tuple[int, dict[str, str], bytes]:
    """A reply in the robots' own form."""
    return status, {}, json.dumps({"errcode": errcode, "errmsg": errmsg}).encode()


@contextmanager
def robot_server(robot: Robot) -> Iterator[str]:
    """A robot on loopback; its address without the token. A reply None never comes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            robot.asked.append((self.path, json.loads(body)))
            reply = robot.next_reply()
            if reply is None:
                robot.over.wait()
                return
            status, headers, answer = reply
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self) -> None:
            robot.asked.append((self.path, {}))
            self.send_error(405)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/robot/send"
    finally:
        robot.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def mail_config(port: int, *people: str) -> str:
    """A configuration in which these people get mail from the server at this port."""
    lines = [
        "[channels.smtp]",
        'host = "127.0.0.1"',
        f"port = {port}",
        'security = "none"',
        'sender = "qjb@example.gov.cn"',
    ]
    for person in people:
        lines += [f"[people.{person}]", f'email = "{person}@example.gov.cn"']
    return "\n".join(lines) + "\n"


def configured(database: Database, text: str, **environment: str) -> Settings:
    """The settings that this text beside the database gives."""
    file = database.home / "xianli.toml"
    file.write_text(text, encoding="utf-8")
    programs = server.tools().binaries if database.shared else None
    if programs:
        environment[BINARIES] = str(programs)
    return settings.load(None, database.home, environment)


SAID: dict[str, notices.Notice] = {
    "digest": letter_samples.digest(),
    "alarm": letter_samples.alarm(),
}


def queue(
    database: Database,
    *keys: str,
    person: str = "wang",
    kind: str = "digest",
    urgent: bool = False,
    at: datetime = MORNING,
) -> None:
    """Puts messages into the outbox, as the sweep does in its own transaction."""
    with database.transaction() as connection:
        for key in keys:
            connection.execute(
                insert(_MESSAGE).values(
                    key=key,
                    kind=kind,
                    person=person,
                    subject="每日提醒",
                    urgent=urgent,
                    document=json.dumps(notices.document(SAID[kind])),
                    created_at=at,
                    status="queued",
                    attempts=0,
                    next_try_at=at,
                )
            )


def messages(database: Database) -> dict[str, MessageRow]:
    """The outbox by key."""
    with database.reading() as connection:
        rows = connection.execute(select(_MESSAGE).order_by(_MESSAGE.c.key)).mappings()
        return {row["key"]: MessageRow(**row) for row in rows}
