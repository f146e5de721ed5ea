"""The ways out, against real servers on loopback: what they take, refuse, break off and babble."""

import base64
import dataclasses
import hashlib
import hmac
import socket
import threading
import urllib.parse
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace
from postoffice import (
    CERTIFICATE,
    MORNING,
    PASSWORD,
    USER,
    Inbox,
    Robot,
    mail_server,
    robot_server,
    rude_server,
    said,
)

from notifications import channels
from notifications.channels import (
    Deferred,
    DingTalk,
    Folder,
    Letter,
    NotDelivered,
    Refused,
    Security,
    Smtp,
    Unreachable,
    WeCom,
)

TOKEN, SECRET = "token-9f8e7d6c5b", "SEC-a1b2c3d4e5"
LETTER = Letter(
    identity=channels.identity("first event", "digest:2023-06-01:wang"),
    name="digest:2023-06-01:wang",
    subject="每日提醒",
    text="前村 101-0001 应于 9 月 30 日前完成施工\n",
    html="<!doctype html><p>前村 101-0001</p>",
    word=b"PK-word",
    to="王经办",
    address="wang@example.gov.cn",
    day=date(2023, 6, 1),
)


def smtp(port: int, **other: object) -> Smtp:
    sound = Smtp("127.0.0.1", port, Security.NONE, "qjb@example.gov.cn", "县清洁取暖办", timeout=5)
    return dataclasses.replace(sound, **other)  # type: ignore[arg-type]


def sending(channel: channels.Channel, letter: Letter = LETTER) -> NotDelivered:
    with pytest.raises(NotDelivered) as failure:
        channel.send(letter, MORNING)
    return failure.value


# The folder ------------------------------------------------------------------------------------


def test_a_letter_in_the_folder_can_be_printed_and_handed_on(tmp_path: Path) -> None:
    Folder(tmp_path / "outbox").send(LETTER, MORNING)

    day = tmp_path / "outbox" / "2023-06-01"
    stem = f"digest_2023-06-01_wang-{LETTER.short}"
    assert {file.name for file in day.iterdir()} == {
        f"{stem}{suffix}" for suffix in (".txt", ".html", ".docx")
    }
    text = (day / f"{stem}.txt").read_text(encoding="utf-8-sig")
    assert "王经办" in text
    assert LETTER.text in text
    assert (day / f"{stem}.html").read_text(encoding="utf-8") == LETTER.html
    assert (day / f"{stem}.docx").read_bytes() == LETTER.word


def test_the_same_letter_twice_is_the_same_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.send(LETTER, MORNING)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*")}

    folder.send(LETTER, MORNING)

    assert {file: file.read_bytes() for file in tmp_path.rglob("*.*")} == before


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b\\c:d|e?*", "..", "CON", "王" * 300])
def test_no_key_leads_out_of_the_folder_or_makes_a_bad_name(tmp_path: Path, name: str) -> None:
    Folder(tmp_path).send(replace(LETTER, name=name), MORNING)

    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) == 3
    assert {file.parent for file in files} == {tmp_path / "2023-06-01"}
    assert not any(set('\\/:*?"<>|') & set(file.name) for file in files)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file", encoding="utf-8")

    failure = sending(Folder(tmp_path / "outbox"))

    assert isinstance(failure, Unreachable)
    assert failure.place == str(tmp_path / "outbox")


# Mail ------------------------------------------------------------------------------------------


def test_a_mail_carries_text_html_the_word_file_and_the_same_id_each_time() -> None:
    inbox = Inbox()
    with mail_server(inbox) as port:
        smtp(port).send(LETTER, MORNING)
        smtp(port).send(LETTER, MORNING)

    first, again = inbox.letters
    assert first["Message-ID"] == again["Message-ID"]
    assert first["Message-ID"] == f"<xianli.{LETTER.identity[:32]}@example.gov.cn>"
    assert first["Subject"] == "每日提醒"
    assert first["To"] == "王经办 <wang@example.gov.cn>"
    assert first["From"] == "县清洁取暖办 <qjb@example.gov.cn>"
    assert first["Date"] == "Thu, 01 Jun 2023 01:00:00 +0000"
    text, page = first.get_body(("plain",)), first.get_body(("html",))
    assert text is not None
    assert page is not None
    assert text.get_content().strip() == LETTER.text.strip()
    assert "101-0001" in page.get_content()
    (word,) = first.iter_attachments()
    assert word.get_filename() == "每日提醒.docx"
    assert word.get_content() == LETTER.word


def test_a_letter_that_is_not_official_has_nothing_attached() -> None:
    inbox = Inbox()
    with mail_server(inbox) as port:
        smtp(port).send(replace(LETTER, word=None), MORNING)

    assert not list(inbox.letters[0].iter_attachments())


def test_a_subject_cannot_add_a_header() -> None:
    inbox = Inbox()
    with mail_server(inbox) as port:
        smtp(port).send(replace(LETTER, subject="提醒\r\nBcc: a@b.c", to="王\n经办"), MORNING)

    assert inbox.letters[0]["Bcc"] is None
    assert inbox.letters[0]["Subject"] == "提醒 Bcc: a@b.c"


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "kind"), [("450 later", Deferred), ("550 never", Refused), ("554 no", Refused)]
)
def test_a_refusal_is_for_good_or_for_now_by_its_code(
    stage: str, answer: str, kind: type[NotDelivered]
) -> None:
    inbox = Inbox({stage: answer})
    with mail_server(inbox) as port:
        failure = sending(smtp(port))

    assert type(failure) is kind
    assert answer[:3] in failure.message
    assert not inbox.letters


def hang(connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def drop(connection: socket.socket, over: threading.Event) -> None:
    pass


def babble(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"\xff\xfe\x00" * 50)


def no_service(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"554 no service here\r\n")
    over.wait()


def endless_line(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"220 " + b"x" * 20_000)
    over.wait()


def after_the_letter(answer: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """A mail server that takes a whole letter and then answers so."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"220 here\r\n")
        for line in connection.makefile("rb"):
            if line.upper().startswith(b"DATA"):
                connection.sendall(b"354 go on\r\n")
            elif line == b".\r\n":
                connection.sendall(answer)
                if answer:
                    return
            elif not line.upper().startswith((b"EHLO", b"MAIL", b"RCPT", b"QUIT")):
                continue
            else:
                connection.sendall(b"250 fine\r\n")

    return talk


@pytest.mark.parametrize("talk", [hang, drop, babble, no_service, endless_line])
def test_a_mail_server_that_is_none_is_tried_again_later(
    talk: Callable[[socket.socket, threading.Event], None],
) -> None:
    with rude_server(talk) as port:
        failure = sending(smtp(port, timeout=0.5))

    assert isinstance(failure, Unreachable)


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n", b"\xff\xff\xff\r\n"])
def test_without_a_clear_answer_to_the_letter_it_is_not_delivered(answer: bytes) -> None:
    with rude_server(after_the_letter(answer)) as port:
        failure = sending(smtp(port, timeout=0.5))

    assert not isinstance(failure, Refused)


def test_once_the_letter_is_taken_a_rude_goodbye_changes_nothing() -> None:
    # It hangs up instead of answering QUIT.
    with rude_server(after_the_letter(b"250 taken\r\n")) as port:
        smtp(port, timeout=2).send(LETTER, MORNING)


def test_nobody_listening_is_told_so() -> None:
    with rude_server(drop) as port:
        pass

    failure = sending(smtp(port))

    assert isinstance(failure, Unreachable)
    assert str(port) in failure.message


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    inbox = Inbox()
    with mail_server(inbox, tls=True, login=True) as port:
        failure = sending(smtp(port, security=Security.STARTTLS, user=USER, password=PASSWORD))

    assert isinstance(failure, Unreachable)
    assert "证书" in failure.message
    assert not inbox.logins
    assert not inbox.letters


def test_the_countys_own_certificate_is_taken_when_it_is_named() -> None:
    inbox = Inbox()
    with mail_server(inbox, tls=True, login=True) as port:
        smtp(
            port, security=Security.STARTTLS, user=USER, password=PASSWORD, ca_file=CERTIFICATE
        ).send(LETTER, MORNING)

    assert inbox.logins == [USER.encode()]
    assert len(inbox.letters) == 1


def test_a_server_without_starttls_gets_neither_password_nor_letter() -> None:
    inbox = Inbox()
    with mail_server(inbox, login=True) as port:
        failure = sending(smtp(port, security=Security.STARTTLS, user=USER, password=PASSWORD))

    assert isinstance(failure, Unreachable)
    assert not inbox.logins
    assert not inbox.letters


def test_a_wrong_password_is_told_without_the_password() -> None:
    inbox = Inbox()
    with mail_server(inbox, login=True) as port:
        failure = sending(smtp(port, user=USER, password="wrong-mima-987"))

    assert isinstance(failure, Unreachable)
    assert "535" in failure.message
    assert "wrong-mima-987" not in failure.message


def test_who_has_no_address_cannot_be_mailed() -> None:
    assert isinstance(sending(smtp(1), replace(LETTER, address=None)), Refused)


# Robots ----------------------------------------------------------------------------------------


def dingtalk(url: str, **other: object) -> DingTalk:
    whole = DingTalk("dingtalk.county", f"{url}?access_token={TOKEN}", SECRET, timeout=5)
    return dataclasses.replace(whole, **other)  # type: ignore[arg-type]


def wecom(url: str, **other: object) -> WeCom:
    return dataclasses.replace(WeCom("wecom.town", f"{url}?key={TOKEN}", timeout=5), **other)  # type: ignore[arg-type]


def test_dingtalk_is_asked_with_a_signature_of_the_time() -> None:
    robot = Robot([said(0)])
    with robot_server(robot) as url:
        dingtalk(url).send(LETTER, MORNING)

    ((path, document),) = robot.asked
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
    stamp = str(int(MORNING.timestamp() * 1000))
    digest = hmac.new(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest()
    assert query == {
        "access_token": TOKEN,
        "timestamp": stamp,
        "sign": base64.b64encode(digest).decode(),
    }
    assert document["msgtype"] == "markdown"
    markdown = document["markdown"]
    assert isinstance(markdown, dict)
    assert markdown["title"] == "每日提醒"
    assert "王经办" in str(markdown["text"])
    assert str(markdown["text"]).endswith(f"编号 {LETTER.short}")


def test_dingtalk_without_a_secret_is_asked_unsigned() -> None:
    robot = Robot([said(0)])
    with robot_server(robot) as url:
        dingtalk(url, secret=None).send(LETTER, MORNING)

    assert "sign" not in robot.asked[0][0]


def test_wecom_gets_markdown() -> None:
    robot = Robot([said(0)])
    with robot_server(robot) as url:
        wecom(url).send(LETTER, MORNING)

    ((path, document),) = robot.asked
    assert path.endswith(f"?key={TOKEN}")
    assert "101-0001" in str(document["markdown"])


def test_what_the_letter_says_is_no_markup_and_no_link() -> None:
    robot = Robot([said(0)])
    with robot_server(robot) as url:
        wecom(url).send(
            replace(LETTER, text='# 大\n[点这里](http://x) <font color="warning">红'), MORNING
        )

    text = str(robot.asked[0][1]["markdown"])
    assert not set("#[]<>*`") & set(text.replace("{'content': '", "").strip("'}"))
    assert "点这里" in text


@pytest.mark.parametrize(("make", "limit"), [(dingtalk, 20_000), (wecom, 4_096)])
def test_a_letter_too_long_for_the_robot_says_that_it_goes_on(
    make: Callable[[str], channels.Channel], limit: int
) -> None:
    robot = Robot([said(0)])
    with robot_server(robot) as url:
        make(url).send(replace(LETTER, text="前村 101-0001 逾期 3 天\n" * 3_000), MORNING)

    markdown = robot.asked[0][1]["markdown"]
    assert isinstance(markdown, dict)
    text = str(markdown.get("text") or markdown.get("content"))
    assert len(text.encode()) <= limit
    assert len(text.encode()) > limit / 2
    assert "未全部列出" in text
    assert text.endswith(f"编号 {LETTER.short}")


@pytest.mark.parametrize("make", [dingtalk, wecom])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (said(310000, "sign not match"), Refused),
        (said(93000, "invalid webhook url"), Refused),
        (said(300001, "token is not exist"), Refused),
        (said(-1, "system busy"), Unreachable),
        (said(130101, "send too fast"), Unreachable),
        (said(45009, "api freq out of limit"), Unreachable),
        (said(0, status=429), Unreachable),
        (said(0, status=500), Unreachable),
        (said(0, status=503), Unreachable),
        (said(0, status=404), Refused),
        (said("0"), Unreachable),
        (said(False), Unreachable),
        (said(None), Unreachable),
        ((200, {}, b""), Unreachable),
        ((200, {}, b"<html>sign in to the network first</html>"), Unreachable),
        ((200, {}, b"[]"), Unreachable),
        ((200, {}, b"\xff\xfe\x00garbage"), Unreachable),
        ((200, {}, b"[" * 60_000), Unreachable),
        ((200, {}, b'{"errcode": 0, "pad": "' + b"x" * 200_000 + b'"}'), Unreachable),
        (None, Unreachable),
    ],
)
def test_a_robot_has_taken_a_letter_only_when_its_reply_says_so(
    make: Callable[..., channels.Channel],
    reply: tuple[int, dict[str, str], bytes] | None,
    kind: type[NotDelivered],
) -> None:
    robot = Robot([reply])
    with robot_server(robot) as url:
        failure = sending(make(url, timeout=0.5))

    assert type(failure) is kind
    assert len(robot.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_so_that_the_token_stays_here(status: int) -> None:
    other = Robot([said(0)])
    with robot_server(other) as elsewhere:
        robot = Robot([(status, {"Location": f"{elsewhere}?access_token={TOKEN}"}, b"")])
        with robot_server(robot) as url:
            failure = sending(dingtalk(url))

    assert isinstance(failure, Unreachable)
    assert not other.asked


def test_a_proxy_in_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, robot = Robot([said(0)]), Robot([said(0)])
    with robot_server(proxy) as elsewhere, robot_server(robot) as url:
        monkeypatch.setenv("http_proxy", elsewhere)
        wecom(url).send(LETTER, MORNING)

    assert not proxy.asked
    assert len(robot.asked) == 1


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "robot", ""])
def test_only_http_is_asked(address: str) -> None:
    assert isinstance(sending(WeCom("wecom.town", address)), Unreachable)


def test_a_robot_whose_certificate_nobody_vouches_for_is_not_asked() -> None:
    inbox = Inbox()
    with mail_server(inbox, tls=True) as port:
        failure = sending(wecom(f"https://127.0.0.1:{port}/robot"))

    assert isinstance(failure, Unreachable)


def test_no_failure_shows_a_token_or_a_secret() -> None:
    everything = f"bad {TOKEN} {SECRET} " + urllib.parse.quote(SECRET)
    failures = []
    for reply in (said(310000, everything), said(-1, everything), (302, {}, b""), None):
        with robot_server(Robot([reply])) as url:
            failures.append(sending(dingtalk(url, timeout=0.5)))
    with robot_server(Robot([said(93000, f"bad {TOKEN}")])) as url:
        failures.append(sending(wecom(url)))
    # An address that the HTTP library itself quotes when it refuses it.
    failures.append(sending(wecom("http://127.0.0.1:1/robot\x01")))
    failures.append(sending(wecom("http://127.0.0.1:x/robot")))
    channel = dingtalk("http://127.0.0.1:1")

    told = "".join(f"{one.message} {one.place} {one.remedy} {one!r}" for one in failures)

    assert TOKEN not in told
    assert SECRET not in told
    assert TOKEN not in repr(channel)
    assert SECRET not in repr(channel)
    assert PASSWORD not in repr(smtp(1, user=USER, password=PASSWORD))


def test_the_signature_is_not_shown_either() -> None:
    robot = Robot([said(310000, "sign")])
    with robot_server(robot) as url:
        sending(dingtalk(url))
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(robot.asked[0][0]).query))
        robot.replies[:] = [said(310000, f"bad sign {query['sign']}")]
        failure = sending(dingtalk(url))

    assert query["sign"] not in failure.message
