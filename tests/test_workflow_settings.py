"""The configuration file: what it says, and that all its faults are told at once."""

import re
from datetime import UTC, datetime, time
from pathlib import Path

import county
import pytest
from postoffice import configured

from notifications.channels import DingTalk, Folder, Security, Smtp, WeCom
from workflow import operation, settings
from workflow.errors import BadFile
from workflow.operation import Limits, Log
from workflow.settings import Quiet, SiteTask
from workflow.toml_file import At

EXAMPLE = Path(__file__).parent.parent / "docs" / "example" / "xianli.toml"
SECRETS = {
    "XIANLI_SMTP_PASSWORD": "p",
    "XIANLI_DINGTALK_COUNTY": "https://oapi.dingtalk.com/robot/send?access_token=t",
    "XIANLI_DINGTALK_COUNTY_SECRET": "SEC1",
    "XIANLI_WECOM_101": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k",
}


def read(folder: Path, text: str, **environment: str) -> settings.Settings:
    file = folder / "xianli.toml"
    file.write_text(text, encoding="utf-8")
    return settings.load(None, folder, environment)


def faults(folder: Path, text: str, **environment: str) -> str:
    with pytest.raises(BadFile) as failure:
        read(folder, text, **environment)
    assert failure.value.place == str(folder / "xianli.toml")
    return failure.value.message


def test_without_a_file_letters_go_to_a_folder_beside_the_database(tmp_path: Path) -> None:
    found = settings.load(None, tmp_path, {})

    assert found.file is None
    assert found.outbox == Folder(tmp_path / "outbox")
    assert found.quiet == Quiet(time(21), time(7))
    assert found.times.backup_folder == tmp_path / "backups"
    assert found.times.digest == At(8, 0)


def test_a_site_lies_beside_the_file_and_is_built_early(tmp_path: Path) -> None:
    (tmp_path / "xianli.toml").write_text("[site]\nfolder = 'web'", encoding="utf-8")

    assert settings.load(None, tmp_path, {}).site == SiteTask(tmp_path / "web", At(6, 0))


def test_without_its_section_no_site_is_built(tmp_path: Path) -> None:
    assert settings.load(None, tmp_path, {}).site is None


def test_the_example_is_a_configuration() -> None:
    found = settings.load(EXAMPLE, Path(), SECRETS)

    assert isinstance(found.channels["smtp"], Smtp)
    assert found.channels["smtp"].security is Security.STARTTLS
    assert isinstance(found.channels["dingtalk.county"], DingTalk)
    assert isinstance(found.channels["wecom.town-101"], WeCom)
    assert found.times.bulletin == At(9, 0, "mon")


def test_the_examples_sections_for_a_server_and_the_log_are_what_holds_without_them(
    tmp_path: Path,
) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    hidden = text[text.index("# [postgresql]") :].splitlines()
    sections = "\n".join(
        line.removeprefix("# ") for line in hidden if re.match(r"# (\[|[a-z_]+ = )", line)
    )

    found = read(tmp_path, sections)

    assert found.server.limits == Limits()
    assert found.server.binaries == Path("/usr/lib/postgresql/16/bin")
    assert operation.load(None, tmp_path, {}).log == Log(tmp_path / "log", 90)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[postgresql]\npool = 1", "postgresql.pool：应是 2 到 100 的整数"),
        ("[postgresql]\nlock_seconds = '30'", "postgresql.lock_seconds：应是 1 到 3600"),
        ("[postgresql]\npassword = 'x'", "postgresql.password：密码和地址不写进文件"),
        ("[log]\nfolder = 'a'\nstderr = true", "log.stderr：已写了 folder"),
        ("[log]\nfile = 'a'", "log.file：没有这一项"),
    ],
)
def test_what_is_needed_before_a_database_is_open_is_checked_by_both_who_read_it(
    tmp_path: Path, text: str, told: str
) -> None:
    assert told in faults(tmp_path, text)
    with pytest.raises(BadFile) as failure:
        operation.load(None, tmp_path, {})
    assert told in failure.value.message


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "xianli.toml").write_text("[log]\nfolder = 'a'\n[postgresql]\nbin = 'b'", "utf-8")
    environment = {operation.LOG: "-", operation.BINARIES: "/c"}

    found = operation.load(None, tmp_path, environment)

    assert found.log == Log(None, 90)
    assert found.server.binaries == Path("/c")


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="读不到"):
        settings.load(tmp_path / "none.toml", tmp_path, {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[delivery]\nquiet = ['21:00']", "delivery.quiet"),
        ("[delivery]\nquiet = ['21:00', '21:00']", "delivery.quiet"),
        ("[delivery]\nquiet = ['25:00', '07:00']", "delivery.quiet"),
        ("[delivery]\nquiet = 'never'", "delivery.quiet"),
        ("[delivery]\ndrill = 1", "delivery.drill"),
        ("[delivery]\nqiuet = []", "delivery.qiuet"),
        ("[delievery]", "delievery"),
        ("delivery = 3", "delivery"),
        ("[channels.fax]", "channels.fax"),
        ("[channels.outbox]\nfolder = 3", "channels.outbox.folder"),
        ("[channels.smtp]\nsender = 'a@b'", "channels.smtp.host"),
        ("[channels.smtp]\nhost = 'h'", "channels.smtp.sender"),
        ("[channels.smtp]\nhost = 'h'\nsender = 'nobody'", "channels.smtp.sender"),
        ("[channels.smtp]\nhost = 'h'\nsender = 'a@b'\nport = 0", "channels.smtp.port"),
        ("[channels.smtp]\nhost = 'h'\nsender = 'a@b'\nport = true", "channels.smtp.port"),
        ("[channels.smtp]\nhost = 'h'\nsender = 'a@b'\nsecurity = 'tls'", "channels.smtp.security"),
        ("[channels.smtp]\nhost = 'h'\nsender = 'a@b'\nuser = 'u'", "channels.smtp.password_env"),
        (
            "[channels.smtp]\nhost = 'h'\nsender = 'a@b'\nuser = 'u'\npassword_env = 'UNSET'",
            "UNSET",
        ),
        (
            "[channels.smtp]\nhost = 'h'\nsender = 'a@b'\nuser = 'u'\npassword_env = 'SET'\n"
            "security = 'none'",
            "channels.smtp.security",
        ),
        ("[channels.smtp]\nhost = 'h'\nsender = 'a@b'\npassword = 'x'", "password_env"),
        (
            "[channels.smtp]\nhost = 'h'\nsender = 'a@b'\nca_file = 'no.pem'",
            "channels.smtp.ca_file",
        ),
        ("[channels.dingtalk.county]", "channels.dingtalk.county.url_env"),
        ("[channels.dingtalk.county]\nurl_env = 'SET'", "https://"),
        ("[channels.wecom.town]\nurl = 'https://x'", "url_env"),
        ("[people.wang]\nemail = 'wang@x'", "people.wang.email"),
        ("[people.wang]\nemail = 'wang'", "people.wang.email"),
        ("[people.wang]\nchannel = 'smtp'", "people.wang.channel"),
        ("[people.wang]\nphone = '1'", "people.wang.phone"),
        ('[people."zhang.san"]\nchannel = "fax"', "people.zhang.san.channel"),
        ("[units.101]\nchannel = 'wecom.none'", "units.101.channel"),
        ("[units.101]", "units.101.channel"),
        ("[scheduler]\nsweep = '7:30'", "scheduler.sweep"),
        ("[scheduler]\nsweep = 'mon 07:30'", "scheduler.sweep"),
        ("[scheduler]\nbulletin = '09:00'", "scheduler.bulletin"),
        ("[scheduler]\nbulletin = 'monday 09:00'", "scheduler.bulletin"),
        ("[scheduler]\nkeep = 0", "scheduler.keep"),
        ("[scheduler]\nbackups = 'x'", "scheduler.backups"),
        ("[site]", "site.folder"),
        ("[site]\nfolder = ''", "site.folder"),
        ("[site]\nfolder = 'web'\nat = 'mon 06:00'", "site.at"),
        ("[site]\nfolder = 'web'\nunit = '101'", "site.unit"),
    ],
)
def test_a_fault_names_its_key(tmp_path: Path, text: str, told: str) -> None:
    message = faults(tmp_path, text, SET="secret-value")

    assert told in message
    assert "secret-value" not in message


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    message = faults(
        tmp_path, "[delivery]\nquiet = 1\n[channels.smtp]\nport = 'x'\n[scheduler]\nkeep = -1"
    )

    for key in ("quiet", "host", "port", "sender", "keep"):
        assert key in message


@pytest.mark.parametrize("content", [b"[delivery\n", b"\xff\xfe\x00", "[通道]".encode("gbk")])
def test_what_is_no_toml_or_no_utf8_is_said_to_be_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "xianli.toml").write_bytes(content)

    with pytest.raises(BadFile) as failure:
        settings.load(None, tmp_path, {})

    assert failure.value.place == str(tmp_path / "xianli.toml")


def test_a_file_saved_by_notepad_is_read(tmp_path: Path) -> None:
    (tmp_path / "xianli.toml").write_text("[scheduler]\nkeep = 3\n", encoding="utf-8-sig")

    assert settings.load(None, tmp_path, {}).times.keep == 3


def test_people_and_units_that_the_database_does_not_know_are_told(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    text = (
        "[people.wang]\nchannel = 'outbox'\n[people.wnag]\nchannel = 'outbox'\n"
        "[units.101]\nchannel = 'outbox'\n[units.甲镇]\nchannel = 'outbox'\n"
        "[units.999]\nchannel = 'outbox'\n"
    )
    found = configured(place.database, text.replace("units.甲镇", 'units."甲镇"'))

    with place.database.reading() as connection, pytest.raises(BadFile) as failure:
        found.check_names(connection)

    assert "people.wnag" in failure.value.message
    assert "units.999" in failure.value.message
    assert "2 处" in failure.value.message


@pytest.mark.parametrize(
    ("quiet", "clock", "holds"),
    [
        (Quiet(time(21), time(7)), "20:59", False),
        (Quiet(time(21), time(7)), "21:00", True),
        (Quiet(time(21), time(7)), "00:00", True),
        (Quiet(time(21), time(7)), "06:59", True),
        (Quiet(time(21), time(7)), "07:00", False),
        (Quiet(time(12), time(14)), "11:59", False),
        (Quiet(time(12), time(14)), "12:00", True),
        (Quiet(time(12), time(14)), "14:00", False),
    ],
)
def test_quiet_hours_are_the_countys_first_minute_in_and_last_out(
    quiet: Quiet, clock: str, holds: bool
) -> None:
    instant = datetime.fromisoformat(f"2023-06-01T{clock}:00+08:00").astimezone(UTC)

    assert quiet.holds(instant) is holds
