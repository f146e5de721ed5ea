"""The configuration file `xianli.toml`: who is reached how, and when the service does what.

It is checked completely when it is read, and all its faults are told at once. It holds no secret:
it names the environment variables that do. Without a file everything has a default and letters go
to the folder `outbox` beside the database.
"""

import re
import ssl
from collections.abc import Collection, Mapping
from datetime import datetime, time
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, field
from sqlalchemy import Connection

from notifications.channels import Channel, DingTalk, Folder, Security, Smtp, WeCom
from states.workdays import SHANGHAI
from workflow import operation, register, toml_file
from workflow.operation import Server
from workflow.toml_file import TIME, At, Reader, Table, refuse

FOLDER = "outbox"
BACKUPS = "backups"
PORTS = {Security.STARTTLS: 587, Security.SSL: 465, Security.NONE: 25}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EMAIL = re.compile(r"[!-?A-~]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


class Quiet(Struct, frozen=True):
    """The hours of the county's day, the first included and the last not, that ring nobody."""

    start: time
    end: time

    def holds(self, now: datetime) -> bool:
        """Whether this instant lies in the quiet hours."""
        clock = now.astimezone(SHANGHAI).time()
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end


class Times(Struct, frozen=True):
    """When the service does what, how many backups it keeps, and where."""

    sweep: At
    forecast: At
    digest: At
    bulletin: At
    journal_check: At
    backup: At
    keep: int
    backup_folder: Path


class SiteTask(Struct, frozen=True):
    """The county's site that the service rebuilds each day, and when."""

    folder: Path
    at: At


class Reach(Struct, frozen=True):
    """How one person is reached: the channel's name, or the mail address, or by the unit's."""

    email: str | None = None
    channel: str | None = None


class Settings(Struct, frozen=True):
    """A configuration that was read and checked; `file` is None where the defaults hold.

    `channels` are by name: `outbox` always, `smtp`, `dingtalk.NAME`, `wecom.NAME`; `people` are by
    login or person, `units` by code, name or alias, as the file writes them.
    """

    file: Path | None
    quiet: Quiet | None
    drill: bool
    outbox: Folder
    channels: Mapping[str, Channel]
    people: Mapping[str, Reach]
    units: Mapping[str, str]
    times: Times
    site: SiteTask | None = None
    server: Server = field(default_factory=Server)

    def check_names(self, connection: Connection) -> None:
        """Raises BadFile for people and units that the database does not know."""
        if self.file is None:
            return
        logins = register.persons(connection)
        plan = register.plan_in_force(connection)
        faults = [
            f"people.{name}：没有登记这个人员；写人员账号（xianli officer list）"
            for name in self.people
            if name not in logins and name not in logins.values()
        ]
        faults += [
            f"units.{name}：计划里没有这个责任单位；写单位编码（xianli plan show）"
            for name in self.units
            if plan.unit(name) is None
        ]
        refuse(self.file, faults)


def load(file: Path | None, home: Path, environment: Mapping[str, str]) -> Settings:
    """The configuration in `file`; by default `xianli.toml` in the database's home, if it is there.

    Raises BadFile with every fault: key, what is wrong, what to do.
    """
    found = toml_file.found(file, home)
    if found is None:
        return _settings(Reader({}, home.resolve(), environment), None)
    reader = Reader(toml_file.read(found), found.resolve().parent, environment)
    told = _settings(reader, found)
    refuse(found, reader.faults)
    return told


def _settings(reader: Reader, file: Path | None) -> Settings:
    document = dict(reader.document)
    delivery = reader.table(document, "delivery")
    quiet, drill = _quiet(reader, delivery), reader.flag(delivery, "delivery.drill")
    reader.rest(delivery, "delivery")
    channels = _channels(reader, reader.table(document, "channels"))
    people = _people(reader, reader.table(document, "people"), channels)
    units = _units(reader, reader.table(document, "units"), channels)
    times = _times(reader, reader.table(document, "scheduler"))
    site = _site(reader, document)
    server = operation.server(reader, document)
    operation.log(reader, document)
    reader.rest(document, "")
    outbox = channels["outbox"]
    assert isinstance(outbox, Folder)
    return Settings(file, quiet, drill, outbox, channels, people, units, times, site, server)


def _quiet(reader: Reader, delivery: Table) -> Quiet | None:
    value = delivery.pop("quiet", ["21:00", "07:00"])
    if value == []:
        return None
    hours = (
        [TIME.fullmatch(one) for one in value if isinstance(one, str)]
        if (isinstance(value, list) and len(value) == 2)
        else []
    )
    found = [time(int(one[1]), int(one[2])) for one in hours if one is not None]
    if len(found) == 2 and found[0] != found[1]:
        return Quiet(*found)
    reader.fault("delivery.quiet", '应写作 ["21:00", "07:00"]，两个不同的时刻；不要静默就写 []')
    return None


def _channels(reader: Reader, table: Table) -> dict[str, Channel]:
    outbox = reader.table(table, "channels.outbox")
    folder = reader.text(outbox, "channels.outbox.folder") or FOLDER
    reader.rest(outbox, "channels.outbox")
    found: dict[str, Channel] = {"outbox": Folder(reader.beside / folder)}
    if "smtp" in table:
        found["smtp"] = _smtp(reader, reader.table(table, "channels.smtp"))
    for kind in ("dingtalk", "wecom"):
        robots = reader.table(table, f"channels.{kind}")
        for name in list(robots):
            place = f"channels.{kind}.{name}"
            robot = reader.table(robots, place, name)
            url = _address(reader, robot, f"{place}.url_env")
            if kind == "dingtalk":
                secret = reader.secret(robot, f"{place}.secret_env")
                found[f"{kind}.{name}"] = DingTalk(f"{kind}.{name}", url, secret)
            else:
                found[f"{kind}.{name}"] = WeCom(f"{kind}.{name}", url)
            reader.rest(robot, place)
    reader.rest(table, "channels")
    return found


def _address(reader: Reader, robot: Table, place: str) -> str:
    url = reader.secret(robot, place, needed=True) or ""
    parts = urlsplit(url)
    sound = parts.scheme in ("http", "https") and parts.hostname and re.fullmatch(r"[!-~]+", url)
    if url and not sound:
        # The address is a secret: it is not shown.
        reader.fault(place, "环境变量里的机器人地址应是完整的 https://… 地址")
    return url


def _smtp(reader: Reader, table: Table) -> Smtp:
    place = "channels.smtp"
    host = reader.text(table, f"{place}.host", needed=True) or ""
    security = _security(reader, table)
    port = reader.number(table, f"{place}.port", PORTS[security], 65535)
    sender = reader.text(table, f"{place}.sender", needed=True) or ""
    if sender and not _EMAIL.fullmatch(sender):
        reader.fault(f"{place}.sender", "应是邮箱地址，例如 qjb@example.gov.cn")
    sender_name = reader.text(table, f"{place}.sender_name") or "县清洁取暖办"
    user = reader.text(table, f"{place}.user")
    password = reader.secret(table, f"{place}.password_env", needed=user is not None)
    ca_file = _ca_file(reader, table)
    reader.rest(table, place)
    if security is Security.NONE and user is not None and host not in LOOPBACK:
        reader.fault(f"{place}.security", '要登录就不能不加密；写 "starttls" 或 "ssl"')
    return Smtp(host, port, security, sender, sender_name, user, password, ca_file)


def _security(reader: Reader, table: Table) -> Security:
    value = reader.text(table, "channels.smtp.security") or Security.STARTTLS
    if value in list(Security):
        return Security(value)
    reader.fault("channels.smtp.security", f"应是 {'、'.join(Security)} 之一")
    return Security.STARTTLS


def _ca_file(reader: Reader, table: Table) -> Path | None:
    name = reader.text(table, "channels.smtp.ca_file")
    if name is None:
        return None
    path = reader.beside / name
    try:
        ssl.create_default_context(cafile=path)
    except OSError:
        reader.fault("channels.smtp.ca_file", f"{path} 读不到，或不是 PEM 证书")
    return path


def _known(reader: Reader, name: str | None, place: str, channels: Collection[str]) -> str | None:
    if name is not None and name not in channels:
        reader.fault(place, f"没有配置通道“{name}”；可用：{'、'.join(channels)}")
    return name


def _people(reader: Reader, table: Table, channels: Mapping[str, Channel]) -> Mapping[str, Reach]:
    found = {}
    for name in list(table):
        place = f"people.{name}"
        person = reader.table(table, place, name)
        email = reader.text(person, f"{place}.email")
        if email is not None and not _EMAIL.fullmatch(email):
            reader.fault(f"{place}.email", "应是邮箱地址，例如 wang@example.gov.cn")
        channel = _known(
            reader, reader.text(person, f"{place}.channel"), f"{place}.channel", channels
        )
        if channel == "smtp" and email is None:
            reader.fault(place, "用邮件就要写 email")
        if email is not None and channel is None and "smtp" not in channels:
            reader.fault(f"{place}.email", "写了邮箱，却没有配置 [channels.smtp]")
        reader.rest(person, place)
        found[name] = Reach(email, channel)
    return found


def _units(reader: Reader, table: Table, channels: Mapping[str, Channel]) -> Mapping[str, str]:
    found = {}
    for name in list(table):
        place = f"units.{name}"
        unit = reader.table(table, place, name)
        key = f"{place}.channel"
        channel = _known(reader, reader.text(unit, key, needed=True), key, channels)
        if channel == "smtp":
            reader.fault(key, "单位没有邮箱；邮件在 [people.账号] 里按人写")
        reader.rest(unit, place)
        if channel is not None:
            found[name] = channel
    return found


def _site(reader: Reader, document: Table) -> SiteTask | None:
    if "site" not in document:
        return None
    table = reader.table(document, "site")
    folder = reader.text(table, "site.folder", needed=True) or ""
    at = reader.at(table, "site.at", At(6, 0))
    reader.rest(table, "site")
    return SiteTask(reader.beside / folder, at)


def _times(reader: Reader, table: Table) -> Times:
    found = Times(
        sweep=reader.at(table, "scheduler.sweep", At(7, 30)),
        forecast=reader.at(table, "scheduler.forecast", At(7, 40)),
        digest=reader.at(table, "scheduler.digest", At(8, 0)),
        bulletin=reader.at(table, "scheduler.bulletin", At(9, 0, "mon"), weekly=True),
        journal_check=reader.at(table, "scheduler.journal_check", At(1, 30)),
        backup=reader.at(table, "scheduler.backup", At(2, 0)),
        keep=reader.number(table, "scheduler.keep", 14, 3650),
        backup_folder=reader.beside / (reader.text(table, "scheduler.backup_folder") or BACKUPS),
    )
    reader.rest(table, "scheduler")
    return found
