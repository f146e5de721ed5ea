"""Delivery: each key once, retries that end, quiet nights, shares of a minute, and drills."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import county
import pytest
from office import make_office
from postoffice import (
    MORNING,
    PASSWORD,
    USER,
    Inbox,
    Robot,
    configured,
    mail_config,
    mail_server,
    messages,
    queue,
    robot_server,
    rude_server,
    said,
)

from workflow import bulletin, db, outbox, tables
from workflow.db import Database
from workflow.outbox import BACK_OFF, CLAIM, TRIES, Delivered
from workflow.settings import Settings

NIGHT = datetime(2023, 6, 1, 14, 0, tzinfo=UTC)  # 22:00 in Shanghai
TOKEN = "token-9f8e7d6c5b"
ROBOT = """
[channels.dingtalk.county]
url_env = "ROBOT"
[units.101]
channel = "dingtalk.county"
"""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return county.fresh(tmp_path, drill=False, verified=True).database


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def mail(inbox: Inbox) -> Iterator[int]:
    with mail_server(inbox) as port:
        yield port


def deliver(
    database: Database, settings: Settings, now: datetime = MORNING, *, at_once: bool = False
) -> Delivered:
    return outbox.deliver(database, settings, lambda: now, at_once=at_once)


def files(database: Database) -> list[str]:
    folder = database.home / "outbox"
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.txt"))


def test_without_a_configuration_letters_land_in_the_folder_of_their_day(
    database: Database,
) -> None:
    queue(database, "digest:2023-06-01:wang")

    done = deliver(database, configured(database, ""))

    assert (done.sent, done.waiting, done.problems) == (1, 0, ())
    (file,) = files(database)
    assert file.startswith("2023-06-01/digest_2023-06-01_wang-")
    (row,) = messages(database).values()
    assert (row.status, row.channel, row.sent_at, row.next_try_at, row.attempts) == (
        "sent",
        "outbox",
        MORNING,
        None,
        1,
    )


def test_what_was_sent_is_never_sent_again(database: Database, inbox: Inbox, mail: int) -> None:
    queue(database, "a", "b")
    settings = configured(database, mail_config(mail, "wang"))
    deliver(database, settings)

    for later in (timedelta(0), CLAIM * 2, timedelta(days=30)):
        assert deliver(database, settings, MORNING + later, at_once=True).sent == 0

    assert len(inbox.letters) == len(set(inbox.ids)) == 2


def test_what_is_not_due_yet_waits(database: Database) -> None:
    queue(database, "later", at=MORNING + timedelta(seconds=1))
    settings = configured(database, "")

    assert deliver(database, settings).waiting == 1
    assert deliver(database, settings, MORNING + timedelta(seconds=1)).sent == 1


def test_each_person_is_reached_by_the_own_way_the_mail_the_units_or_the_folder(
    database: Database, inbox: Inbox, mail: int
) -> None:
    robot = Robot([said(0)])
    text = mail_config(mail, "wang") + ROBOT + '[people.head]\nchannel = "outbox"\n'
    for person in ("wang", "head", "qian", "nobody-known"):
        queue(database, f"digest:{person}", person=person)
    with robot_server(robot) as url:
        deliver(database, configured(database, text, ROBOT=url))

    sent = {row.person: row.channel for row in messages(database).values()}
    assert sent["wang"] == "smtp"
    assert sent["head"] == sent["qian"] == sent["nobody-known"] == "outbox"


def test_an_officer_without_a_way_of_his_own_is_reached_in_the_units_group(
    database: Database,
) -> None:
    robot = Robot([said(0)])
    queue(database, "digest:wang")
    with robot_server(robot) as url:
        deliver(database, configured(database, ROBOT, ROBOT=url))

    assert messages(database)["digest:wang"].channel == "dingtalk.county"
    assert "王经办" in str(robot.asked[0][1]["markdown"])


def test_a_refusal_for_now_is_tried_again_after_a_growing_while_and_then_given_up(
    database: Database, inbox: Inbox, mail: int
) -> None:
    inbox.answers["RCPT"] = "450 greylisted"
    queue(database, "a")
    settings = configured(database, mail_config(mail, "wang") + "[delivery]\nquiet = []\n")
    now = MORNING

    for attempt, pause in enumerate(BACK_OFF, start=1):
        done = deliver(database, settings, now)
        assert (done.sent, done.retried, done.given_up, done.waiting) == (0, 1, 0, 1)
        row = messages(database)["a"]
        assert (row.status, row.attempts) == ("queued", attempt)
        assert row.next_try_at == now + pause
        assert deliver(database, settings, now + pause - timedelta(seconds=1)).problems == ()
        now += pause
    assert files(database) == []
    done = deliver(database, settings, now)

    assert (done.given_up, done.waiting) == (1, 0)
    row = messages(database)["a"]
    assert (row.status, row.attempts, row.next_try_at) == ("given_up", TRIES, None)
    assert row.last_error is not None
    assert "450" in row.last_error
    assert "人工" in row.last_error
    assert len(files(database)) == 1
    assert deliver(database, settings, now + timedelta(days=9)).problems == ()


def test_a_refusal_for_good_is_given_up_at_once_and_lies_in_the_folder(
    database: Database, inbox: Inbox, mail: int
) -> None:
    inbox.answers["head@example.gov.cn"] = "550 no such user"
    queue(database, "a", person="head")
    queue(database, "b")

    done = deliver(database, configured(database, mail_config(mail, "wang", "head")))

    assert (done.sent, done.given_up) == (1, 1)
    assert messages(database)["a"].status == "given_up"
    assert len(files(database)) == 1
    with database.reading() as connection:
        standing = outbox.standing(connection)
    assert (standing.waiting, standing.given_up) == (0, 1)
    assert standing.last_error is not None
    assert "550" in standing.last_error


def test_what_was_given_up_can_be_sent_again_once_it_was_put_right(
    database: Database, inbox: Inbox, mail: int
) -> None:
    inbox.answers["RCPT"] = "550 no such user"
    queue(database, "a")
    settings = configured(database, mail_config(mail, "wang"))
    deliver(database, settings)
    inbox.answers.clear()

    assert outbox.requeue(database, MORNING) == 1
    assert deliver(database, settings).sent == 1

    assert outbox.requeue(database, MORNING) == 0
    row = messages(database)["a"]
    assert (row.status, row.last_error) == ("sent", None)


def test_a_channel_that_is_down_is_not_asked_for_every_letter(database: Database) -> None:
    asked = []
    with rude_server(lambda connection, over: asked.append(connection)) as port:
        queue(database, "a", "b", "c")
        done = deliver(database, configured(database, mail_config(port, "wang")))

    assert (done.retried, done.waiting) == (1, 3)
    assert len(asked) == 1
    assert [row.attempts for row in messages(database).values()] == [1, 0, 0]


def test_an_alarm_whose_channel_is_down_lies_in_the_folder_at_once_and_is_tried_on(
    database: Database,
) -> None:
    with rude_server(lambda connection, over: None) as port:
        queue(database, "alarm:1", "alarm:2", kind="alarm", urgent=True)
        done = deliver(database, configured(database, mail_config(port, "wang")))

    assert (done.retried, done.waiting) == (2, 2)
    assert len(files(database)) == 2
    assert {row.status for row in messages(database).values()} == {"queued"}


def test_at_night_only_what_is_urgent_rings(database: Database, inbox: Inbox, mail: int) -> None:
    queue(database, "a")
    queue(database, "alarm:1", kind="alarm", urgent=True)
    settings = configured(database, mail_config(mail, "wang"))

    done = deliver(database, settings, NIGHT)

    assert (done.sent, done.waiting, done.problems) == (1, 1, ())
    assert messages(database)["alarm:1"].status == "sent"
    row = messages(database)["a"]
    assert (row.status, row.attempts) == ("queued", 0)
    assert deliver(database, settings, datetime(2023, 6, 1, 22, 59, 59, tzinfo=UTC)).sent == 0
    assert deliver(database, settings, datetime(2023, 6, 1, 23, 0, tzinfo=UTC)).sent == 1


def test_a_file_in_the_folder_wakes_nobody(database: Database) -> None:
    queue(database, "a")

    assert deliver(database, configured(database, ""), NIGHT).sent == 1


def test_now_waits_neither_for_the_morning_nor_for_the_next_try(
    database: Database, inbox: Inbox, mail: int
) -> None:
    inbox.answers["RCPT"] = "450 later"
    queue(database, "a")
    settings = configured(database, mail_config(mail, "wang"))
    assert deliver(database, settings, NIGHT, at_once=True).retried == 1
    inbox.answers.clear()

    assert deliver(database, settings, NIGHT, at_once=True).sent == 1


def test_an_attempt_under_way_is_nobody_elses_and_runs_out(
    database: Database, inbox: Inbox, mail: int
) -> None:
    """Who died in the middle of an attempt leaves it so."""
    queue(database, "a")
    with database.transaction() as connection:
        claimed = {"status": "sending", "attempts": 1, "next_try_at": MORNING + CLAIM}
        connection.execute(tables.MESSAGE.update().values(claimed))
    settings = configured(database, mail_config(mail, "wang"))

    for at_once in (False, True):
        assert deliver(database, settings, MORNING, at_once=at_once).sent == 0
    assert deliver(database, settings, MORNING + CLAIM).sent == 1


def test_a_message_that_breaks_its_attempts_is_given_up_and_the_others_go(
    database: Database, inbox: Inbox, mail: int
) -> None:
    queue(database, "a", "b")
    with database.transaction() as connection:
        mine = tables.MESSAGE.update().where(tables.MESSAGE.c.key == "a")
        connection.execute(mine.values(status="sending", attempts=TRIES))

    done = deliver(database, configured(database, mail_config(mail, "wang")))

    assert (done.sent, done.given_up) == (1, 1)
    assert messages(database)["a"].status == "given_up"
    assert len(inbox.letters) == 1


@pytest.mark.parametrize("document", ["not json", "[1]", "{}", '{"kind":"alarm"}', "[" * 9000])
@pytest.mark.parametrize("attempts", [0, TRIES])
def test_a_message_that_nobody_can_read_is_given_up_with_the_reason_and_the_others_go(
    database: Database, inbox: Inbox, mail: int, document: str, attempts: int
) -> None:
    queue(database, "a", "b")
    with database.transaction() as connection:
        mine = tables.MESSAGE.update().where(tables.MESSAGE.c.key == "a")
        connection.execute(mine.values(document=document, attempts=attempts))

    done = deliver(database, configured(database, mail_config(mail, "wang")))

    assert (done.sent, done.given_up, done.waiting) == (1, 1, 0)
    given_up = messages(database)["a"]
    assert given_up.status == "given_up"
    assert "内容读不出来" in str(given_up.last_error)
    assert len(inbox.letters) == 1


def test_a_robot_gets_twenty_letters_a_minute_whoever_sends_them(database: Database) -> None:
    robot = Robot([said(0)])
    queue(database, *(f"digest:{number:02}" for number in range(50)))
    with robot_server(robot) as url:
        settings = configured(database, ROBOT, ROBOT=url)
        rounds = [
            deliver(database, settings, MORNING + timedelta(seconds=seconds)).sent
            for seconds in (0, 1, 59, 60, 61, 119, 120)
        ]

    assert rounds == [20, 0, 0, 20, 0, 0, 10]
    assert len(robot.asked) == 50


def test_a_robot_that_says_too_fast_is_left_alone_for_the_round(database: Database) -> None:
    robot = Robot([said(130101, "send too fast")])
    queue(database, "a", "b")
    with robot_server(robot) as url:
        done = deliver(database, configured(database, ROBOT, ROBOT=url))

    assert len(robot.asked) == 1
    assert (done.retried, done.waiting) == (1, 2)


def test_no_token_reaches_the_database(database: Database, tmp_path: Path) -> None:
    robot = Robot([said(310000, f"token {TOKEN} is wrong")])
    queue(database, "a")
    with robot_server(robot) as url:
        done = deliver(database, configured(database, ROBOT, ROBOT=f"{url}?access_token={TOKEN}"))

    assert done.given_up == 1
    assert TOKEN in robot.asked[0][0]
    place = county.County(tmp_path / "county.db", database)
    assert TOKEN not in str(county.every_row(place))
    database.close()
    for file in database.home.rglob("*"):
        if file.is_file():
            assert TOKEN.encode() not in file.read_bytes(), file


def test_a_clock_set_back_an_hour_sends_nothing_twice_and_loses_nothing(
    database: Database, inbox: Inbox, mail: int
) -> None:
    queue(database, "a", "b")
    inbox.answers["RCPT"] = "450 later"
    settings = configured(database, mail_config(mail, "wang"))
    deliver(database, settings)
    inbox.answers.clear()
    earlier = MORNING - timedelta(hours=1)

    assert deliver(database, settings, earlier).sent == 0
    assert deliver(database, settings, MORNING + timedelta(minutes=1)).sent == 2
    assert deliver(database, settings, earlier, at_once=True).sent == 0

    assert len(inbox.ids) == len(set(inbox.ids)) == 2


def test_the_same_key_in_two_databases_is_two_letters(
    tmp_path: Path, inbox: Inbox, mail: int
) -> None:
    for name, drill in (("one", False), ("other", True)):
        folder = tmp_path / name
        folder.mkdir()
        database = county.fresh(folder, drill=drill, verified=not drill).database
        queue(database, "digest:2023-06-01:wang")
        text = mail_config(mail, "wang") + "[delivery]\ndrill = true\n"
        assert deliver(database, configured(database, text)).sent == 1

    assert len(set(inbox.ids)) == 2


@pytest.mark.parametrize("open_", [False, True])
def test_a_drill_sends_nothing_outside_unless_it_is_told_to_and_is_marked(
    tmp_path: Path, inbox: Inbox, mail: int, open_: bool
) -> None:
    database = county.fresh(tmp_path).database
    queue(database, "alarm:1", kind="alarm", urgent=True)
    text = mail_config(mail, "wang") + f"[delivery]\ndrill = {str(open_).lower()}\n"

    assert deliver(database, configured(database, text)).sent == 1

    assert len(inbox.letters) == open_
    assert all("演练" in str(letter["Subject"]) for letter in inbox.letters)
    assert messages(database)["alarm:1"].channel == ("smtp" if open_ else "outbox")
    if not open_:
        (file,) = files(database)
        assert "演练-alarm_1" in file
        written = (database.home / "outbox" / file).read_text(encoding="utf-8-sig")
        assert "【演练】" in written


def test_a_drills_letter_is_marked_once_where_its_subject_says_more(
    tmp_path: Path, inbox: Inbox, mail: int
) -> None:
    database = county.fresh(tmp_path).database
    bulletin.publish(database, MORNING)
    text = mail_config(mail, "li") + "[delivery]\ndrill = true\n"

    deliver(database, configured(database, text))

    [letter] = inbox.letters
    assert str(letter["Subject"]).startswith("【演练·未核实】关于")


def test_a_service_that_stops_begins_no_further_letter(database: Database) -> None:
    queue(database, "a", "b", "c")
    asked = iter([False, True])

    done = outbox.deliver(
        database, configured(database, ""), lambda: MORNING, stopping=lambda: next(asked)
    )

    assert (done.sent, done.waiting) == (1, 2)


def test_urgent_letters_go_first(database: Database) -> None:
    queue(database, "a", at=MORNING - timedelta(hours=1))
    queue(database, "b", urgent=True, kind="alarm")
    asked = iter([False, True])

    outbox.deliver(
        database, configured(database, ""), lambda: MORNING, stopping=lambda: next(asked)
    )

    assert {key: row.status for key, row in messages(database).items()} == {
        "a": "queued",
        "b": "sent",
    }


def test_the_command_takes_configuration_and_password_from_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office, inbox = make_office(tmp_path, capsys), Inbox()
    queue(db.connect(office.place.url), "digest", person="county")
    file = tmp_path / "elsewhere.toml"
    monkeypatch.setenv("XIANLI_CONFIG", str(file))
    monkeypatch.setenv("MIMA", PASSWORD)
    with mail_server(inbox, login=True) as port:
        login = f'user = "{USER}"\npassword_env = "MIMA"\n[people.county]'
        text = mail_config(port, "county").replace("[people.county]", login)
        file.write_text(text, encoding="utf-8")
        done = office.run("notify", "send", "--now")

    assert done.answer["sent"] == 1, done.text
    assert inbox.logins == [USER.encode()]
    assert str(inbox.letters[0]["To"]) == "县办 <county@example.gov.cn>"
    assert office.run("scheduler", "status").answer["messages"] == {
        "waiting": 0,
        "given_up": 0,
        "last_error": None,
    }


def test_what_was_not_sent_is_shown_to_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office, inbox = make_office(tmp_path, capsys), Inbox({"RCPT": "550 no such user"})
    queue(db.connect(office.place.url), "digest", person="county")
    with mail_server(inbox) as port:
        text = mail_config(port, "county")
        (tmp_path / "xianli.toml").write_text(text, encoding="utf-8")
        sent = office.run("notify", "send", "--now", as_json=False)
        inbox.answers.clear()
        again = office.run("notify", "send", "--now", "--again", as_json=False)

    assert sent.status == again.status == 0
    assert "放弃 digest：" in sent.text
    assert "no such user" in sent.text
    assert again.text.startswith("发出 1 件")
