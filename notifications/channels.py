"""The ways out: a folder, SMTP, DingTalk and WeCom robots; nothing else here reaches outside.

A channel delivers a letter or raises NotDelivered. Secrets are passed in and never leave in a
message. A repeated send is recognisable: the same file name, the same Message-ID, the same short
number at the end of a robot's text.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import smtplib
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from states.errors import CaseError
from states.plan import Json

# Seconds that one answer may take. A send asks a dozen times at most, well within `outbox.CLAIM`.
TIMEOUT = 15.0
# A robot answers in a line; what is longer is not read.
REPLY_LIMIT = 64 * 1024
ROBOT_PER_MINUTE = 20
DINGTALK_BYTES = 18_000
WECOM_BYTES = 4_000
SHORT = 8


class NotDelivered(CaseError):
    """A channel did not take a letter; the message is for people and holds no secret."""

    code = "not_delivered"


class Refused(NotDelivered):
    """The letter was refused for good: another try would be refused too."""


class Deferred(NotDelivered):
    """The letter was not taken this time; others may go through."""


class Unreachable(NotDelivered):
    """The channel itself does not work now, for this letter or any other."""


class Letter(Struct, frozen=True):
    """What goes out to one person.

    `identity` is a hash in hex, the same at every try; `name` is fit for a file; `day` the county's
    day on which it was written; `word` an official letter as a Word file.
    """

    identity: str
    name: str
    subject: str
    text: str
    html: str
    word: bytes | None
    to: str
    address: str | None
    day: date

    @property
    def short(self) -> str:
        """The number by which people tell a repeated letter."""
        return self.identity[:SHORT]


class Channel(Protocol):
    """One way out; `per_minute` is how many letters it takes, None for any number."""

    @property
    def name(self) -> str: ...

    @property
    def per_minute(self) -> int | None: ...

    def send(self, letter: Letter, now: datetime) -> None: ...


class Folder(Struct, frozen=True):
    """Files to print or hand on: a folder per day, a name per letter; twice is the same as once."""

    path: Path
    name: str = "outbox"
    per_minute: int | None = None

    def send(self, letter: Letter, now: datetime) -> None:
        """Writes the letter as text, HTML and, if official, Word. Raises Unreachable."""
        head = f"主题：{letter.subject}\n送：{letter.to}\n编号：{letter.short}\n\n"
        files = {
            # The mark at the start tells old editors that this is UTF-8.
            ".txt": (head + letter.text).encode("utf-8-sig"),
            ".html": letter.html.encode(),
        }
        if letter.word is not None:
            files[".docx"] = letter.word
        folder = self.path / letter.day.isoformat()
        stem = f"{_fit_for_a_file(letter.name)}-{letter.short}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for suffix, content in files.items():
                _write_whole(folder / f"{stem}{suffix}", content)
        except OSError as error:
            raise Unreachable(
                f"发件箱文件夹写不进去：{error.strerror or type(error).__name__}",
                place=str(self.path),
            ) from None


def _fit_for_a_file(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:60]


def _write_whole(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


class Security(StrEnum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"
    SSL = "ssl"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Smtp:
    """A mail server; `ca_file` holds the county's own certificate where the public ones fail."""

    host: str
    port: int
    security: Security
    sender: str
    sender_name: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    timeout: float = TIMEOUT
    name: str = "smtp"
    per_minute: int | None = None

    def send(self, letter: Letter, now: datetime) -> None:
        """Mails the letter. Raises Refused on a 5xx to the letter itself, else what may pass."""
        if letter.address is None:
            raise Refused(f"没有 {letter.to} 的邮箱地址")
        try:
            message = self._message(letter, letter.address, now)
        except (MessageError, ValueError):
            raise Refused("邮件的主题、姓名或地址写不成邮件头") from None
        server = self._connect()
        try:
            server.send_message(message, self.sender, [letter.address])
        except smtplib.SMTPRecipientsRefused as error:
            raise self._answered(*next(iter(error.recipients.values())), "收件人") from None
        except smtplib.SMTPSenderRefused as error:
            raise self._answered(error.smtp_code, error.smtp_error, "发件人") from None
        except smtplib.SMTPDataError as error:
            raise self._answered(error.smtp_code, error.smtp_error, "信件") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise self._down("发送中断", error) from None
        else:
            # The letter is taken; how the server says goodbye changes nothing.
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
        finally:
            server.close()

    def _connect(self) -> smtplib.SMTP:
        # A computer's own name may be Chinese, which the greeting cannot carry.
        mine = "[127.0.0.1]"
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.security is Security.SSL:
                server: smtplib.SMTP = smtplib.SMTP_SSL(
                    self.host, self.port, mine, timeout=self.timeout, context=context
                )
            else:
                server = smtplib.SMTP(self.host, self.port, mine, timeout=self.timeout)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise self._down("连不上", error) from None
        try:
            if self.security is Security.STARTTLS:
                server.starttls(context=context)
            if self.user is not None:
                server.login(self.user, self.password or "")
        except (smtplib.SMTPException, OSError, ValueError) as error:
            server.close()
            told = "登录未成功" if isinstance(error, smtplib.SMTPAuthenticationError) else "连不上"
            raise self._down(told, error) from None
        return server

    def _message(self, letter: Letter, address: str, now: datetime) -> EmailMessage:
        message = EmailMessage(policy=SMTP_POLICY)
        message["Subject"] = _one_line(letter.subject)
        message["From"] = Address(self.sender_name, addr_spec=self.sender)
        message["To"] = Address(_one_line(letter.to), addr_spec=address)
        message["Date"] = format_datetime(now)
        domain = self.sender.partition("@")[2]
        message["Message-ID"] = f"<xianli.{letter.identity[:32]}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        message.add_alternative(letter.html, subtype="html")
        if letter.word is not None:
            message.add_attachment(
                letter.word,
                maintype="application",
                subtype="vnd.openxmlformats-officedocument.wordprocessingml.document",
                filename=f"{_one_line(letter.subject)}.docx",
            )
        return message

    def _answered(self, status: int, said: bytes | str, what: str) -> NotDelivered:
        told = f"邮件服务器不接受{what}（{status}）：{self._quoted(said)}"
        return Refused(told) if 500 <= status <= 599 else Deferred(told)

    def _down(self, what: str, error: Exception) -> Unreachable:
        if isinstance(error, ssl.SSLCertVerificationError):
            why = "服务器证书不可信；单位自签的证书用 ca_file 指明"
        elif isinstance(error, smtplib.SMTPNotSupportedError):
            why = f"服务器不支持 {self.security} 加密或登录方式"
        elif isinstance(error, smtplib.SMTPResponseException):
            why = f"{error.smtp_code} {self._quoted(error.smtp_error)}"
        else:
            why = _failure(error)
        return Unreachable(f"邮件服务器 {self.host}:{self.port} {what}：{why}")

    def _quoted(self, said: bytes | str) -> str:
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        secret = self.password or ""
        pair = f"\0{self.user}\0{secret}".encode()
        encoded = (base64.b64encode(one).decode() for one in (secret.encode(), pair))
        return _without(text, [secret, *encoded] if secret else [])


# What the robots answer when it is not the letter's fault: busy, or too many in a while.
_BUSY_CODES = frozenset({-1, 45009, 45033, 90030, 130101, 410100})


@dataclass(frozen=True, slots=True)
class DingTalk:
    """A DingTalk group robot; `secret` is that of 加签, None where the robot is kept otherwise."""

    name: str
    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    timeout: float = TIMEOUT
    per_minute: int | None = ROBOT_PER_MINUTE

    def send(self, letter: Letter, now: datetime) -> None:
        """Puts the letter into the group. Raises NotDelivered by what the reply's body says."""
        url, secrets = self.url, _secrets(self.url)
        if self.secret is not None:
            stamp = str(int(now.timestamp() * 1000))
            digest = hmac.digest(self.secret.encode(), f"{stamp}\n{self.secret}".encode(), "sha256")
            sign = base64.b64encode(digest).decode()
            joint = "&" if urllib.parse.urlsplit(url).query else "?"
            url += joint + urllib.parse.urlencode({"timestamp": stamp, "sign": sign})
            secrets += [self.secret, sign]
        # DingTalk's markdown joins lines that no empty line parts.
        text = _robot_text(letter, DINGTALK_BYTES).replace("\n", "\n\n")
        document: dict[str, Json] = {
            "msgtype": "markdown",
            "markdown": {"title": _one_line(letter.subject), "text": text},
        }
        _post(url, document, f"钉钉群机器人 {self.name}", secrets, self.timeout)


@dataclass(frozen=True, slots=True)
class WeCom:
    """A WeCom group robot; its whole secret is in the address."""

    name: str
    url: str = field(repr=False)
    timeout: float = TIMEOUT
    per_minute: int | None = ROBOT_PER_MINUTE

    def send(self, letter: Letter, now: datetime) -> None:
        """Puts the letter into the group. Raises NotDelivered by what the reply's body says."""
        document: dict[str, Json] = {
            "msgtype": "markdown",
            "markdown": {"content": _robot_text(letter, WECOM_BYTES)},
        }
        _post(self.url, document, f"企业微信群机器人 {self.name}", _secrets(self.url), self.timeout)


def _robot_text(letter: Letter, limit: int) -> str:
    """Markdown that shows the letter's own words: what would be markup is written full-width."""
    end = f"编号 {letter.short}"
    whole = f"{letter.subject}\n送：{letter.to}\n{letter.text}".translate(_PLAIN)
    lines, room = [], limit - 2 * len(end.encode()) - 60
    for line in whole.splitlines():
        # Each line may be parted by an empty one.
        room -= len(line.encode()) + 2
        if room < 0:
            end = f"（太长，未全部列出；全文用 xianli notify preview 查看）\n{end}"
            break
        lines.append(line)
    return "\n".join([*lines, end])


_PLAIN = str.maketrans("<>[]*`#_", "＜＞［］＊｀＃＿")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is not followed: it would carry the robot's token to somebody else."""

    def redirect_request(self, *_: object) -> None:
        return None


# No proxy from the environment, no files, no FTP: http(s) to the address that was configured.
_OPENER = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.UnknownHandler(),
    urllib.request.HTTPHandler(),
    urllib.request.HTTPSHandler(),
    urllib.request.HTTPErrorProcessor(),
    urllib.request.HTTPDefaultErrorHandler(),
    _NoRedirect(),
):
    _OPENER.add_handler(_handler)


def _post(
    url: str, document: Mapping[str, Json], whom: str, secrets: Iterable[str], timeout: float
) -> None:
    try:
        request = urllib.request.Request(
            url,
            json.dumps(document, ensure_ascii=False).encode(),
            {"Content-Type": "application/json; charset=utf-8", "User-Agent": "xianli"},
        )
        with _OPENER.open(request, timeout=timeout) as reply:
            body = reply.read(REPLY_LIMIT)
    except urllib.error.HTTPError as error:
        error.close()
        told = f"{whom} 没有接收（HTTP {error.code}）"
        if 400 <= error.code <= 499 and error.code not in (408, 425, 429):
            raise Refused(told) from None
        raise Unreachable(told) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{whom} 连不上：{_failure(error)}") from None
    _read_reply(body, whom, secrets)


def _read_reply(body: bytes, whom: str, secrets: Iterable[str]) -> None:
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        reply = None
    code = reply.get("errcode") if isinstance(reply, dict) else None
    if not isinstance(code, int) or isinstance(code, bool):
        raise Unreachable(f"{whom} 的回答读不懂，不知是否收到")
    if code == 0:
        return
    told = f"{whom} 没有接收（{code}）：{_without(str(reply.get('errmsg')), secrets)}"
    if code in _BUSY_CODES:
        raise Unreachable(told)
    raise Refused(told)


def _secrets(url: str) -> list[str]:
    """What in a robot's address must not be shown: every value of its query, and its path."""
    parts = urllib.parse.urlsplit(url)
    values = [value for _, value in urllib.parse.parse_qsl(parts.query)]
    # What is shorter is no secret, and taking it out would garble the sentence.
    return [one for one in (url, parts.query, parts.path.strip("/"), *values) if len(one) > 3]


def _without(text: str, secrets: Iterable[str]) -> str:
    """What somebody else's server said, on one line, short, no secret of ours in it."""
    for secret in sorted(secrets, key=len, reverse=True):
        for form in (secret, urllib.parse.quote(secret, safe="")):
            text = text.replace(form, "***")
    return _one_line(text)[:200]


def _failure(error: Exception) -> str:
    """Why there was no answer; of foreign errors only what cannot hold an address of ours."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return "等不到回答"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return "服务器证书不可信"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return type(reason).__name__


def _one_line(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f]+", " ", text).strip()


def identity(*parts: str) -> str:
    """The hash by which a letter is known, from what makes it this letter and no other."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
