"""A TOML file that people write: its keys are taken one by one and all its faults told at once."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from workflow.errors import BadFile

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
FILE_NAME = "xianli.toml"
EXAMPLE = "docs/example/xianli.toml"
Table = dict[str, object]


class At(Struct, frozen=True):
    """A time of the county's day, every day or on one day of the week (`mon` … `sun`)."""

    hour: int
    minute: int
    weekday: str | None = None


def found(file: Path | None, home: Path) -> Path | None:
    """The file that was named, else the one in the database's home if it is there."""
    if file is not None:
        return file
    beside = home.resolve() / FILE_NAME
    return beside if beside.exists() else None


def read(file: Path) -> Table:
    """The tables in a file. Raises BadFile."""
    # Only here: every command asks whether there is a file, few have one.
    import tomllib

    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadFile(
            f"读不到配置文件：{error.strerror}",
            place=str(file),
            remedy="核对 --config 或 XIANLI_CONFIG 写的路径",
        ) from error
    except UnicodeDecodeError as error:
        raise BadFile("配置文件不是 UTF-8 文本", place=str(file), remedy="另存为 UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise BadFile(
            f"配置文件不是 TOML：{error}",
            place=str(file),
            remedy=f"照 {EXAMPLE} 改正这一处",
        ) from error


def refuse(file: Path, faults: Collection[str]) -> None:
    """Raises BadFile with all of the faults, if there are any."""
    if faults:
        raise BadFile(
            f"配置文件有 {len(faults)} 处要改：" + "".join(f"\n  - {one}" for one in faults),
            place=str(file),
            remedy=f"改好后再运行；写法见 {EXAMPLE}",
            code="settings",
        )


@dataclass
class Reader:
    """Takes keys out of the file's tables one by one, and keeps what is wrong with them.

    A key that is wrong answers its default, so that reading goes on to the next.
    """

    document: Table
    beside: Path
    environment: Mapping[str, str]
    faults: list[str] = field(default_factory=list)

    def fault(self, place: str, told: str) -> None:
        """Keeps one fault."""
        self.faults.append(f"{place}：{told}")

    def table(self, parent: Table, place: str, key: str | None = None) -> Table:
        """A section; `key` where a name of people's own choice may hold a dot."""
        value = parent.pop(key or place.rpartition(".")[2], {})
        if isinstance(value, dict):
            return dict(value)
        self.fault(place, f"应是一节，写作 [{place}]")
        return {}

    def text(self, table: Table, place: str, *, needed: bool = False) -> str | None:
        """A text that is not empty."""
        key = place.rpartition(".")[2]
        value = table.pop(key, None)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if value is not None:
            self.fault(place, '应是不空的文字，写在引号里，例如 "…"')
        elif needed:
            self.fault(place, "缺少这一项，请补上")
        return None

    def flag(self, table: Table, place: str) -> bool:
        """Yes or no; no by default."""
        value = table.pop(place.rpartition(".")[2], False)
        if isinstance(value, bool):
            return value
        self.fault(place, "应是 true 或 false")
        return False

    def number(self, table: Table, place: str, default: int, most: int, *, least: int = 1) -> int:
        """A whole number between two bounds."""
        value = table.pop(place.rpartition(".")[2], default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.fault(place, f"应是 {least} 到 {most} 的整数")
        return default

    def secret(self, table: Table, place: str, *, needed: bool = False) -> str | None:
        """What the environment variable that this key names holds."""
        name = self.text(table, place, needed=needed)
        if name is None:
            return None
        value = self.environment.get(name)
        if not value:
            self.fault(place, f"环境变量 {name} 没有设置；启动前设好，不要写进本文件")
        return value or None

    def at(self, table: Table, place: str, default: At, *, weekly: bool = False) -> At:
        """A time of the day, `weekly` with the day of the week."""
        value = table.pop(place.rpartition(".")[2], None)
        if value is None:
            return default
        day, _, clock = value.rpartition(" ") if isinstance(value, str) else ("", "", "")
        found = TIME.fullmatch(clock)
        if found and (day in WEEKDAYS if weekly else day == ""):
            return At(int(found[1]), int(found[2]), day or None)
        self.fault(place, '应写作 "mon 09:00"（mon…sun）' if weekly else '应写作 "07:30"')
        return default

    def rest(self, table: Table, place: str) -> None:
        """What is left in a table is not known here."""
        for key in table:
            where = f"{place}.{key}" if place else key
            if key in ("password", "secret", "url"):
                self.fault(where, f"密码和地址不写进文件；用 {key}_env 写出环境变量的名字")
            else:
                self.fault(where, "没有这一项；核对拼写")
