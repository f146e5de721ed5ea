"""The command line: parse, one call, print (design, section 8).

`workflow` is imported inside the commands, so that `--help` answers at once. The clock, the screen
and the environment are read here and passed in.
"""

import gc
import json
import os
import re
import shutil
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from states.vocabulary import FactKind, GateKind, Role, State, Trigger, Word

if TYPE_CHECKING:
    from notifications.screen import Screen
    from states.errors import CaseError
    from states.facts import Actor
    from states.plan import Json
    from workflow.attachments import File
    from workflow.cases import Clocks
    from workflow.config import Day
    from workflow.db import Database
    from workflow.engine import Order

AnyWord = TypeVar("AnyWord", bound=Word)
FILE = click.Path(path_type=Path, dir_okay=False)
PEOPLE = tuple(role for role in Role if role is not Role.SYSTEM)
GATES = tuple(kind for kind in GateKind if kind is not GateKind.NONE)


# click's own words, in the order in which they are put into Chinese: headings, help, errors.
PHRASES = tuple(
    (re.compile(english), chinese)
    for english, chinese in (
        (r"^Usage: ?", "用法："),
        (r"^Options$", "选项"),
        (r"^Commands$", "命令"),
        (r"\[OPTIONS\]", "[选项]"),
        (r"COMMAND \[ARGS\]\.\.\.", "命令 [参数]..."),
        (r"\bTEXT\b", "文字"),
        (r"\bINTEGER\b", "数字"),
        (r"\bDIRECTORY\b", "目录"),
        (r"Show this message and exit\.", "显示本说明"),
        (r"Show the version and exit\.", "显示版本号"),
        (r"\[default: ", "[默认："),
        (r"; required\]|\[required\]", "[必填]"),
        (r"^Missing option (.+?)\.", r"缺少选项 \1"),
        (r"^Missing argument (.+?)\.", r"缺少参数 \1"),
        (r"^Missing command\.", "缺少命令"),
        (r"^No such option:? (.+?)\.", r"没有选项 \1"),
        (r"^No such command (.+?)\.", r"没有命令 \1"),
        (r" \(?Did you mean (?:one of: )?(.+?)\??\)?$", r"；是不是 \1"),
        (r"^Invalid value for (.+?): ", r"\1 的值不对："),
        (r"^Invalid value: ", "值不对："),
        (r"('.*') is not a valid integer\.", r"\1 不是整数"),
        (r"(?:File|Directory) ('.*') is a directory\.", r"\1 是目录，不是文件"),
        (r"(?:File|Directory) ('.*') is a file\.", r"\1 是文件，不是目录"),
        (r"(?:File|Directory) ('.*') is not readable\.", r"\1 没有读取权限"),
        (r"^Option (.+?) requires an argument\.", r"选项 \1 后面要写值"),
        (r"^Option (.+?) does not take a value\.", r"选项 \1 后面不带值"),
        (r"^Got unexpected extra arguments? \((.+)\)", r"多余的参数：\1"),
    )
)


def in_chinese(text: str) -> str:
    """What click says, in Chinese; what is not in the list stays as it is."""
    for english, chinese in PHRASES:
        text = english.sub(chinese, text)
    return text


def columns(text: str) -> int:
    """The columns that a text takes on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def folded(text: str, width: int) -> list[str]:
    """The text in lines of so many columns, broken between Chinese characters or whole words."""
    lines = [""]
    for piece in re.findall(r"\[[^\]\s]+\]|[!-~]+|.", text):
        if columns(lines[-1] + piece) > width and lines[-1] and piece not in "，。；：、）”":
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return lines


class Formatter(click.HelpFormatter):
    """The help page in Chinese, its columns aligned by what a terminal shows."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, in_chinese(args), prefix or in_chinese("Usage:"))

    def write_heading(self, heading: str) -> None:
        self.write(f"{in_chinese(heading)}：\n")

    def write_text(self, text: str) -> None:
        indent = " " * self.current_indent
        paragraphs = (
            "\n".join(indent + line for line in folded(part, self.width - self.current_indent))
            for part in text.split("\n\n")
        )
        self.write("\n\n".join(paragraphs) + "\n")

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        shown = [(in_chinese(term), in_chinese(meaning)) for term, meaning in rows]
        first = min(max(columns(term) for term, _ in shown), col_max) + col_spacing
        indent = " " * self.current_indent
        for term, meaning in shown:
            gap = first - columns(term)
            fits = gap >= col_spacing
            self.write(f"{indent}{term}" + (" " * gap if fits else f"\n{indent}{'':{first}}"))
            room = self.width - self.current_indent - first
            self.write(f"\n{indent}{'':{first}}".join(folded(meaning, room)) + "\n")


class Context(click.Context):
    """A context that writes its help so."""

    formatter_class = Formatter


class Command(click.Command):
    """A command whose help is in Chinese."""

    context_class = Context


class Group(click.Group):
    """A group of such commands."""

    context_class = Context
    command_class = Command
    group_class = type


class Words(click.ParamType[Word]):
    """An identifier of the vocabulary, or its Chinese label."""

    def __init__(self, *words: type[Word]) -> None:
        self.words = words
        self.name = "|".join(str(word) for kind in words for word in kind)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        # click would show the identifiers in capitals, which are none; the help lists them.
        return param.name.upper() if isinstance(param, click.Option) and param.name else None

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Word:
        for word in (word for kind in self.words for word in kind):
            if value in (word, str(word), word.label):
                return word
        raise click.BadParameter(f"没有“{value}”；可用：{self.name}", ctx, param)


def listed(words: Iterable[Word]) -> str:
    """Identifiers with their labels, for the help."""
    return "、".join(f"{word} {word.label}" for word in words)


class Dates(click.ParamType[date]):
    """A county date, `2023-09-01`."""

    name = "YYYY-MM-DD"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> date:
        if isinstance(value, date):
            return value
        text = str(value)
        try:
            if len(text) == 10:
                return date.fromisoformat(text)
        except ValueError:
            pass
        raise click.BadParameter(f"“{value}”不是日期，写作 2023-09-01", ctx, param)


class Instants(click.ParamType[datetime]):
    """An instant: `2023-09-15T10:00:00Z`, without zone Shanghai's; a date means its end."""

    name = "时刻"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        from states.workdays import SHANGHAI

        if isinstance(value, datetime):
            return value
        text = str(value)
        try:
            if len(text) == 10:
                return datetime.combine(date.fromisoformat(text), time.max, SHANGHAI)
            moment = datetime.fromisoformat(text)
        except ValueError:
            told = f"“{value}”不是时刻，写作 2023-09-15T10:00:00Z 或 2023-09-15"
            raise click.BadParameter(told, ctx, param) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)


class Pairs(click.ParamType[tuple[str, str]]):
    """A piece of evidence, `KEY=VALUE`."""

    name = "KEY=VALUE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        key, equals, text = str(value).partition("=")
        if not equals or not key:
            raise click.BadParameter(
                f"“{value}”应写作 KEY=VALUE，例如 visit_on=2023-05-20", ctx, param
            )
        return key.strip(), text


@dataclass
class Desk:
    """What every command shares: the database's address, who acts, the day, how to answer."""

    url: str
    login: str | None
    today: date | None
    as_json: bool

    def database(self) -> "Database":
        """The database, which must exist."""
        from workflow import db

        return db.connect(self.url)

    def writer(self) -> str:
        """The login of who writes."""
        from states.errors import UsageFault

        if not self.login:
            raise UsageFault(
                "这条命令要写入，须说明是谁在办理",
                place="--as",
                remedy="加 --as 账号，或设环境变量 XIANLI_OFFICER",
            )
        return self.login

    def reader(self, database: "Database") -> "Actor | None":
        """Who reads; None when nobody said."""
        from workflow import register

        if not self.login:
            return None
        with database.reading() as connection:
            return register.actor(connection, self.login)

    def whole_county(self) -> "Database":
        """The database, for who may see all of it."""
        from workflow import register

        database = self.database()
        register.require_whole_view(self.reader(database))
        return database

    def instant(self, database: "Database") -> datetime:
        """When what is written now is recorded."""
        from workflow import config

        return config.writing_instant(database, self.today, datetime.now(UTC))

    def viewing_instant(self, database: "Database") -> datetime:
        """As of when a command that writes nothing decides: a drill's day need not be given."""
        from workflow import journal

        if self.today is not None:
            return self.instant(database)
        day = self.day(database)
        return journal.noon(day.today) if day.drill else datetime.now(UTC)

    def day(self, database: "Database") -> "Day":
        """The day that reading stands on."""
        from workflow import config

        return config.reading_day(database, self.today, datetime.now(UTC))

    def screen(self) -> "Screen":
        """The terminal as it is."""
        from notifications.screen import Screen

        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size((140, 40)).columns if terminal else 140
        return Screen(width, colour=terminal and "NO_COLOR" not in os.environ)

    def answer(self, document: "Json", text: Callable[["Screen"], str]) -> None:
        """Prints the answer: as JSON, or as the text that people read."""
        if self.as_json:
            click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        else:
            click.echo(text(self.screen()))

    @contextmanager
    def progress(self, label: str) -> Iterator[Callable[[int, int], None]]:
        """A progress bar on the terminal's error stream; nothing where nobody watches."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda done, total: None
            return
        with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

            def show(done: int, total: int) -> None:
                bar.length = total
                bar.update(done - bar.pos)

            yield show


pass_desk = click.make_pass_decorator(Desk)
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=Group, context_settings=CONTEXT)
@click.option(
    "--db",
    "url",
    envvar="XIANLI_DB",
    default="xianli.db",
    show_default=True,
    metavar="URL",
    help="数据库文件或地址（环境变量 XIANLI_DB）",
)
@click.option(
    "--as", "login", envvar="XIANLI_OFFICER", metavar="账号", help="谁在办理（XIANLI_OFFICER）"
)
@click.option("--today", type=Dates(), help="演练日期；只用于演练数据库，写入时必须给出")
@click.option("--json", "as_json", is_flag=True, help="输出 JSON，供程序读取")
@click.version_option(package_name="xianli", prog_name="xianli")
@click.pass_context
def cli(
    context: click.Context, url: str, login: str | None, today: date | None, as_json: bool
) -> None:
    """先立后破：清洁取暖改造逐户管理，从确村确户到允许拆除原设施。

    新的取暖设施稳定运行满一个采暖季之前，绝不允许拆除原有取暖设施。
    """
    context.obj = Desk(url, login, today, as_json)


# 建库与演示 ------------------------------------------------------------------------------------


@cli.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="放置演示文件的目录（须为空或不存在）",
)
@click.option("--seed", type=int, default=16, show_default=True, help="随机种子；相同则结果相同")
@pass_desk
def demo(desk: Desk, directory: Path, seed: int) -> None:
    """按通知的真实规模（3,966 户）演一遍全年，留下台账和数据库供查看。"""
    from workflow import demo as play

    with desk.progress("演示") as progress:
        story = play.run(directory, seed, progress)
    desk.answer(story.document, lambda screen: story.text)


@cli.command()
@click.option("--plan", "plan_name", required=True, metavar="NAME|FILE", help="计划名或计划文件")
@click.option("--drill", is_flag=True, help="建为演练库：永久标记“演练”，日期由 --today 指定")
@click.option("--first", required=True, metavar="账号", help="首位县清洁取暖办人员的账号")
@click.option("--name", required=True, help="首位县清洁取暖办人员的姓名")
@pass_desk
def init(desk: Desk, plan_name: str, drill: bool, first: str, name: str) -> None:
    """新建数据库，载入计划，登记首位县清洁取暖办人员。"""
    from workflow import setup

    made = setup.create(
        desk.url,
        plan_name,
        drill=drill,
        login=first,
        name=name,
        today=desk.today,
        clock=datetime.now(UTC),
    )
    desk.answer(made.document, lambda screen: made.text)


# 计划 -----------------------------------------------------------------------------------------


@cli.group()
def plan() -> None:
    """查看和检查计划。"""


@plan.command("show")
@pass_desk
def plan_show(desk: Desk) -> None:
    """显示生效的计划：阶段、责任单位和任务、规则参数及是否核实、采暖季。"""
    from workflow import answers, register

    with desk.database().reading() as connection:
        document = answers.plan(register.plan_in_force(connection))
    desk.answer(document, lambda screen: screen.plan(document))


@plan.command("check")
@click.argument("file", metavar="NAME|FILE")
@pass_desk
def plan_check(desk: Desk, file: str) -> None:
    """检查计划文件 FILE 是否完整、前后一致；不写入任何内容。"""
    from workflow import answers, config

    document = answers.plan(config.load_plan(file))
    desk.answer(document, lambda screen: f"计划没有问题\n\n{screen.plan(document)}")


# 人员 -----------------------------------------------------------------------------------------


@cli.group()
def officer() -> None:
    """登记、列出、停用办理人员。"""


@officer.command("add")
@click.argument("login")
@click.option("--name", required=True, help="姓名")
@click.option("--role", required=True, type=Words(Role), help=f"角色：{listed(PEOPLE)}")
@click.option("--unit", help="责任单位编码或名称")
@click.option("--person", help="同一人的几个账号写相同的人员标识；不写即账号本身")
@pass_desk
def officer_add(
    desk: Desk, login: str, name: str, role: Role, unit: str | None, person: str | None
) -> None:
    """登记办理人员 LOGIN（由县清洁取暖办办理）。"""
    from workflow import answers, setup

    database = desk.database()
    found = setup.add_officer(
        database,
        login,
        name,
        role,
        unit,
        person,
        actor=desk.writer(),
        now=desk.instant(database),
    )
    document = answers.officers([found])[0]
    desk.answer(document, lambda screen: f"已登记：\n{screen.officers([document])}")


@officer.command("list")
@pass_desk
def officer_list(desk: Desk) -> None:
    """列出办理人员。"""
    from workflow import answers, register

    with desk.database().reading() as connection:
        document = answers.officers(register.officers(connection))
    desk.answer([*document], lambda screen: screen.officers(document))


@officer.command("disable")
@click.argument("login")
@pass_desk
def officer_disable(desk: Desk, login: str) -> None:
    """停用账号 LOGIN；此前的登记照旧有效。"""
    from workflow import setup

    database = desk.database()
    setup.disable_officer(database, login, actor=desk.writer(), now=desk.instant(database))
    desk.answer({"login": login, "active": False}, lambda screen: f"已停用 {login}")


# 台账, 设备清单, 网络 ---------------------------------------------------------------------------


FORCE = click.option("--force", is_flag=True, help="覆盖已有的文件")


@cli.group()
def ledger() -> None:
    """导入、导出台账，生成空白表。"""


@ledger.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option("--dry-run", is_flag=True, help="只检查，不写入；有问题时在旁边写一份标注副本")
@click.option("--marked", type=FILE, help="标注副本写到哪里（与 --dry-run 同用，只有一份台账时）")
@FORCE
@pass_desk
def ledger_import(
    desk: Desk, files: Sequence[Path], dry_run: bool, marked: Path | None, force: bool
) -> None:
    """导入台账 FILE（xlsx、xls、et、csv），可一次给出几份：每份全部导入，或一户也不导入。"""
    from workflow import answers
    from workflow import ledger as ledgers

    if marked is not None and (not dry_run or len(files) > 1):
        raise click.UsageError("--marked 要与 --dry-run 同用，并且只给一份台账")
    database = desk.database()
    login, now = desk.writer(), desk.instant(database)
    documents = []
    for file in files:
        with desk.progress(f"导入 {file.name}") as progress:
            found = ledgers.import_file(
                database, file, login, now, dry_run=dry_run, progress=progress
            )
        copy = ledgers.mark(file, found, marked, force=force) if dry_run else None
        documents.append(answers.imported(found, None if copy is None else str(copy)))
    answer: Json = documents[0] if len(documents) == 1 else [*documents]
    desk.answer(answer, lambda screen: "\n".join(map(screen.imported, documents)))
    if any(document["verdict"] == "rejected" for document in documents):
        raise click.exceptions.Exit(3)


@ledger.command("export")
@click.argument("file", type=FILE)
@click.option("--unit", help="责任单位编码或名称；不写即全部可见的户")
@click.option("--reveal", is_flag=True, help="不遮蔽个人信息；会记入日志")
@FORCE
@pass_desk
def ledger_export(desk: Desk, file: Path, unit: str | None, reveal: bool, force: bool) -> None:
    """把台账导出到 FILE（xlsx 或 csv）；个人信息默认遮蔽。"""
    from workflow import ledger as ledgers
    from workflow import register

    database = desk.database()
    with database.reading() as connection:
        who = register.actor(connection, desk.writer())
    now = desk.instant(database) if reveal else datetime.now(UTC)
    units = _units(desk, database, unit)
    number = ledgers.export_file(database, file, who, now, units=units, reveal=reveal, force=force)
    desk.answer({"file": str(file), "rows": number}, lambda screen: f"已导出 {number} 户到 {file}")


@ledger.command("template")
@click.argument("file", type=FILE)
@FORCE
@pass_desk
def ledger_template(desk: Desk, file: Path, force: bool) -> None:
    """生成空白台账 FILE（xlsx），带下拉选项和填表说明。"""
    from workflow import ledger_file, register, spreadsheet

    spreadsheet.refuse_existing(file, force=force)
    with desk.database().reading() as connection:
        found = register.plan_in_force(connection)
    ledger_file.write_template(file, found)
    desk.answer({"file": str(file)}, lambda screen: f"已生成空白台账 {file}")


@cli.group()
def catalogue() -> None:
    """中标设备清单。"""


@catalogue.command("import")
@click.argument("file", type=FILE)
@pass_desk
def catalogue_import(desk: Desk, file: Path) -> None:
    """导入中标设备清单 FILE（列：型号、品牌、取暖方式、中标包号）。"""
    from workflow import setup

    database = desk.database()
    document = setup.import_catalogue(
        database, file, actor=desk.writer(), now=desk.instant(database)
    )
    desk.answer(
        document,
        lambda screen: f"设备清单：读到 {document['rows']} 行，新增或更改 {document['added']} 行",
    )


@cli.group()
def gate() -> None:
    """各村电网、热网、燃气管网的开通。"""


@gate.command("open")
@click.argument("village")
@click.option("--unit", required=True, help="责任单位编码或名称")
@click.option("--kind", required=True, type=Words(GateKind), help=f"网络种类：{listed(GATES)}")
@click.option("--on", "on", required=True, type=Dates(), help="开通日期")
@click.option("--attach", multiple=True, type=FILE, help="证明文件")
@pass_desk
def gate_open(
    desk: Desk, village: str, unit: str, kind: GateKind, on: date, attach: Sequence[Path]
) -> None:
    """登记 VILLAGE 的网络开通（由县清洁取暖办办理，须附证明）。"""
    from workflow import answers, setup

    database = desk.database()
    found, warning = setup.open_gate(
        database,
        unit,
        village,
        kind,
        on,
        _files(attach),
        actor=desk.writer(),
        now=desk.instant(database),
    )
    document = answers.gates([found])[0]
    document["warning"] = warning
    told = f"\n注意：{warning}" if warning else ""
    desk.answer(document, lambda screen: f"已登记：\n{screen.gates([document])}{told}")


@gate.command("list")
@pass_desk
def gate_list(desk: Desk) -> None:
    """列出已开通的网络。"""
    from workflow import answers, register

    with desk.database().reading() as connection:
        document = answers.gates(register.gates(connection))
    desk.answer([*document], lambda screen: screen.gates(document))


# 户 -------------------------------------------------------------------------------------------


@cli.command()
@click.option("--unit", help="责任单位编码或名称")
@click.option("--limit", type=int, default=30, show_default=True, help="最多列出几件；0 为全部")
@pass_desk
def todo(desk: Desk, unit: str | None, limit: int) -> None:
    """接下来办什么，最急的在前。"""
    from workflow import answers, overdue, register

    database = desk.database()
    who, day = desk.reader(database), desk.day(database)
    units = _visible(who, _units(desk, database, unit))
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        document = answers.todo(overdue.todo(connection, plan, day.today, who, units))
    desk.answer([*document], lambda screen: screen.todo(document, limit))


@cli.group()
def case() -> None:
    """查看户的情况。"""


AS_OF = click.option("--as-of", type=Dates(), help="看这一天的实情（按发生日期）")
KNOWN_AT = click.option("--known-at", type=Instants(), help="看这一时刻台账上的情况（按登记时间）")


@case.command("list")
@click.option("--unit", help="责任单位编码或名称")
@click.option("--state", type=Words(State), help=f"只列这个环节的户：{listed(State)}")
@click.option("--limit", type=int, default=50, show_default=True, help="最多列出几户；0 为全部")
@AS_OF
@KNOWN_AT
@pass_desk
def case_list(
    desk: Desk,
    unit: str | None,
    state: State | None,
    limit: int,
    as_of: date | None,
    known_at: datetime | None,
) -> None:
    """列出户：所处环节、期限、是否逾期。"""
    from workflow import answers, cases, register

    database = desk.database()
    clocks = _clocks(desk, database, as_of, known_at)
    units = _visible(desk.reader(database), _units(desk, database, unit))
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = cases.positions(connection, plan, clocks, units)
    document = [answers.position(p) for p in found if state is None or p.state is state]
    desk.answer([*document], lambda screen: screen.case_list(document, limit))


@case.command("show")
@click.argument("code")
@click.option("--reveal", is_flag=True, help="不遮蔽个人信息；会记入日志")
@AS_OF
@KNOWN_AT
@pass_desk
def case_show(
    desk: Desk, code: str, reveal: bool, as_of: date | None, known_at: datetime | None
) -> None:
    """显示 CODE 户的全部情况：环节、期限、施工、故障、测温、违规、许可。"""
    from workflow import answers, cases, ledger, register

    database = desk.database()
    clocks, who = _clocks(desk, database, as_of, known_at), desk.reader(database)
    with database.reading() as connection:
        plan, drill = register.plan_in_force(connection), register.is_drill(connection)
        facts, _ = cases.facts_of(connection, code, who, clocks)
        personal = cases.personal(connection, [code])[code]
    if reveal:
        desk.writer()
        assert who is not None
        ledger.reveal_personal(database, who, [code], desk.instant(database), "case show")
    document = answers.case(
        cases.position(facts, plan, clocks.as_of),
        facts,
        personal if reveal else personal.masked(),
        cases.unverified_permission(facts, plan, clocks.as_of),
        drill=drill,
        as_of=clocks.as_of,
    )
    desk.answer(document, lambda screen: screen.case(document))


@case.command("why", epilog=f"TRIGGER：{listed(Trigger)}。")
@click.argument("code")
@click.argument("trigger", type=Words(Trigger), required=False)
@AS_OF
@KNOWN_AT
@pass_desk
def case_why(
    desk: Desk,
    code: str,
    trigger: Trigger | None,
    as_of: date | None,
    known_at: datetime | None,
) -> None:
    """CODE 户为什么还不能办理 TRIGGER：缺什么、由谁补、最早哪天能办。

    不写 TRIGGER 就说明该户当前的下一步。
    """
    from workflow import answers, overdue

    database = desk.database()
    clocks = _clocks(desk, database, as_of, known_at, outlook=True)
    who = desk.reader(database)
    with database.reading() as connection:
        found, unverified, drill = overdue.why(connection, code, trigger, clocks, who)
    document = answers.why(code, found, unverified, drill=drill)
    desk.answer(document, lambda screen: screen.why(document))


@case.command("history")
@click.argument("code")
@AS_OF
@KNOWN_AT
@pass_desk
def case_history(desk: Desk, code: str, as_of: date | None, known_at: datetime | None) -> None:
    """CODE 户从登记以来的每一条记录。"""
    from workflow import answers, cases

    database = desk.database()
    clocks, who = _clocks(desk, database, as_of, known_at), desk.reader(database)
    with database.reading() as connection:
        _, events = cases.facts_of(connection, code, who, clocks)
    shown = [e for e in events if not clocks.past or e.occurred_on <= clocks.as_of]
    document = answers.history(shown)
    desk.answer([*document], lambda screen: screen.history(document))


EVIDENCE = click.option(
    "-e", "pairs", multiple=True, type=Pairs(), help="材料项，可重复；见 xianli safety --schema"
)
ATTACH = click.option("--attach", multiple=True, type=FILE, help="附件，可重复")
REASON = click.option("--reason", help="理由")
KEY = click.option("--key", help="幂等键：同一个键重复提交只登记一次")


@cli.command(epilog=f"TRIGGER：{listed(Trigger)}。")
@click.argument("code")
@click.argument("trigger", type=Words(Trigger))
@click.option("--on", "on", type=Dates(), help="发生日期；不写即今天")
@EVIDENCE
@ATTACH
@REASON
@KEY
@click.option("--dry-run", is_flag=True, help="只看能不能办，不写入")
@pass_desk
def advance(
    desk: Desk,
    code: str,
    trigger: Trigger,
    on: date | None,
    pairs: Sequence[tuple[str, str]],
    attach: Sequence[Path],
    reason: str | None,
    key: str | None,
    dry_run: bool,
) -> None:
    """为 CODE 户办理一个环节 TRIGGER，例如 confirm（确户完成）。"""
    order = _order(code, trigger, on, pairs, attach, reason, key)
    _carry_out(desk, order, dry_run=dry_run)


@cli.command(epilog=f"FACT：{listed(FactKind)}。")
@click.argument("fact", type=Words(FactKind))
@click.argument("code")
@click.option("--on", "on", type=Dates(), help="发生日期；不写即今天")
@EVIDENCE
@ATTACH
@REASON
@KEY
@pass_desk
def record(
    desk: Desk,
    fact: FactKind,
    code: str,
    on: date | None,
    pairs: Sequence[tuple[str, str]],
    attach: Sequence[Path],
    reason: str | None,
    key: str | None,
) -> None:
    """如实登记 CODE 户的一件事 FACT（施工、公示、故障、测温、违规……），不改变环节。"""
    _carry_out(desk, _order(code, fact, on, pairs, attach, reason, key), dry_run=False)


def _order(
    code: str,
    kind: Trigger | FactKind,
    on: date | None,
    pairs: Sequence[tuple[str, str]],
    attach: Sequence[Path],
    reason: str | None,
    key: str | None,
) -> "Order":
    from states import evidence
    from workflow.engine import Order

    given = evidence.parse(kind, pairs)
    text = evidence.plain(reason, "--reason") if reason else None
    return Order(code, kind, given, on, _files(attach), text, key)


def _carry_out(desk: Desk, order: "Order", *, dry_run: bool) -> None:
    from workflow import answers, engine

    database = desk.database()
    login, now = desk.writer(), desk.instant(database)
    if dry_run:
        state = engine.rehearse(database, order, login, now)
        document: dict[str, Json] = {
            "code": order.code,
            "trigger": order.kind,
            "possible": True,
            "state": state,
        }
        desk.answer(document, lambda screen: f"可以办理；办理后处于“{state.label}”。没有写入")
        return
    done = answers.receipt(engine.advance(database, order, login, now))
    desk.answer(done, lambda screen: screen.receipt(done))


# 批量 -----------------------------------------------------------------------------------------


@cli.group()
def batch() -> None:
    """用一张表办理许多户：生成表、预览、办理。离线填写的表回来后也这样交。"""


@batch.command("template")
@click.argument("kind", metavar="TRIGGER|FACT", type=Words(Trigger, FactKind))
@click.argument("file", type=FILE)
@click.option("--unit", help="责任单位编码或名称；不写即全部可见的户")
@FORCE
@pass_desk
def batch_template(
    desk: Desk, kind: "Trigger | FactKind", file: Path, unit: str | None, force: bool
) -> None:
    """生成批量表 FILE（xlsx 或 csv），列出等着办理 TRIGGER（或登记 FACT）的户。

    前面的灰色列请勿改动；填好后先 batch preview，再 batch apply。
    """
    from workflow import batch as batches

    database = desk.database()
    number = batches.write_template(
        database,
        file,
        kind,
        desk.reader(database),
        desk.day(database).today,
        _units(desk, database, unit),
        force=force,
    )
    desk.answer(
        {"file": str(file), "kind": kind, "rows": number},
        lambda screen: f"已生成“{kind.label}”批量表 {file}，列出 {number} 行",
    )


@batch.command("preview")
@click.argument("file", type=FILE)
@pass_desk
def batch_preview(desk: Desk, file: Path) -> None:
    """逐行查看 FILE 能不能办理、为什么不能、最早哪天能办；不写入任何内容。

    有退回的行时退出码为 1。
    """
    from workflow import answers
    from workflow import batch as batches

    database = desk.database()
    login, now = desk.writer(), desk.viewing_instant(database)
    with desk.progress("预览") as progress:
        found = batches.preview(database, file, login, now, progress)
    document = answers.batch(found, applied=False)
    desk.answer(document, lambda screen: screen.batch(document))
    if found.refused:
        raise click.exceptions.Exit(1)


@batch.command("apply")
@click.argument("file", type=FILE)
@click.option("--partial", is_flag=True, help="办理通过的行，退回的行写到 FILE 旁的“-退回.xlsx”")
@KEY
@pass_desk
def batch_apply(desk: Desk, file: Path, partial: bool, key: str | None) -> None:
    """办理 FILE：全部通过才登记，否则一行也不登记；加 --partial 先办通过的行。

    附件按文件名在 FILE 所在文件夹及旁边的文件夹里找。同一张表交两次与交一次相同。
    """
    from workflow import answers
    from workflow import batch as batches

    database = desk.database()
    login, now = desk.writer(), desk.instant(database)
    with desk.progress("办理") as progress:
        found = batches.apply(
            database, file, login, now, partial=partial, key=key, progress=progress
        )
    document = answers.batch(found, applied=True)
    desk.answer(document, lambda screen: screen.batch(document))
    if found.refused and not found.written:
        raise click.exceptions.Exit(found.status)
    if found.refused:
        raise click.exceptions.Exit(1)


# 检查与审计 ------------------------------------------------------------------------------------


@cli.command()
@AS_OF
@KNOWN_AT
@click.option("--unit", help="责任单位编码或名称")
@pass_desk
def check(desk: Desk, as_of: date | None, known_at: datetime | None, unit: str | None) -> None:
    """各责任单位逾期多少、将要逾期多少；新旧取暖都没有的户最先列出。"""
    from workflow import answers, forecast, overdue, register

    database = desk.database()
    clocks = _clocks(desk, database, as_of, known_at, outlook=True)
    units = _visible(desk.reader(database), _units(desk, database, unit))
    today = desk.day(database).today
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        foreseen = forecast.foresee(connection, plan, clocks, today, units)
        found = overdue.check(connection, plan, clocks, units, foreseen.positions)
        drill = register.is_drill(connection)
    document = answers.check(found, foreseen.by_unit, drill=drill)
    desk.answer(document, lambda screen: screen.check(document))


@cli.command("forecast")
@AS_OF
@KNOWN_AT
@click.option("--unit", help="责任单位编码或名称")
@pass_desk
def show_forecast(
    desk: Desk, as_of: date | None, known_at: datetime | None, unit: str | None
) -> None:
    """各责任单位按期完工、按期验收的概率，预计完工日期，需要的进度和实际的进度。

    按各单位自己的登记推演；最可能误期的单位在前。
    """
    from workflow import answers, forecast, register

    database = desk.database()
    clocks = _clocks(desk, database, as_of, known_at, outlook=True)
    units = _visible(desk.reader(database), _units(desk, database, unit))
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = forecast.foresee(connection, plan, clocks, desk.day(database).today, units)
        document = answers.forecast(found, plan, drill=register.is_drill(connection))
    desk.answer(document, lambda screen: screen.forecast(document))


@cli.group()
def report() -> None:
    """台账和报表。"""


@report.command("ledgers")
@click.argument("file", type=FILE)
@click.option("--unit", help="责任单位编码或名称；不写即全部可见的单位")
@AS_OF
@FORCE
@pass_desk
def report_ledgers(
    desk: Desk, file: Path, unit: str | None, as_of: date | None, force: bool
) -> None:
    """把确村确户、设备选型、工程推进、验收管理四本台账写到 FILE（xlsx），姓名遮蔽，可直接打印。"""
    from workflow import answers, register, reports, spreadsheet

    database = desk.database()
    clocks = _clocks(desk, database, as_of, None)
    units = _visible(desk.reader(database), _units(desk, database, unit))
    spreadsheet.refuse_existing(file, force=force)
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = reports.write_ledgers(connection, file, plan, clocks, units)
        document = answers.ledgers(
            str(file), clocks.as_of, found, drill=register.is_drill(connection)
        )
    desk.answer(document, lambda screen: screen.ledgers(document))


@cli.group()
def audit() -> None:
    """核验日志，查许可和拆除是否合规。"""


@audit.command("verify")
@pass_desk
def audit_verify(desk: Desk) -> None:
    """核验日志：哈希链、序号、与各表是否一致。不通过时退出码为 6。"""
    from workflow import answers
    from workflow import audit as audits

    with desk.whole_county().reading() as connection, desk.progress("核验") as progress:
        report = audits.report(connection, progress)
        found = audits.verification(connection, report)
    document = answers.verification(found)
    desk.answer(document, lambda screen: screen.verification(document))
    if not found.verified:
        raise click.exceptions.Exit(6)


@audit.command("removal")
@pass_desk
def audit_removal(desk: Desk) -> None:
    """按第四节规则重算每一项许可和每一处拆除、封存。有问题时退出码为 1。"""
    from workflow import answers, register
    from workflow import audit as audits

    with desk.whole_county().reading() as connection, desk.progress("核对") as progress:
        found = audits.report(connection, progress)
        plan = register.plan_in_force(connection)
    document = answers.removal(found, plan)
    desk.answer(document, lambda screen: screen.removal(document))
    if found.removal:
        raise click.exceptions.Exit(1)


@audit.command("bundle")
@click.argument("file", type=FILE)
@pass_desk
def audit_bundle(desk: Desk, file: Path) -> None:
    """把审计包写到 FILE（不含个人信息）；可用 python workflow/verify.py FILE 独立核验。"""
    from workflow import audit as audits

    with desk.whole_county().reading() as connection, desk.progress("写审计包") as progress:
        number = audits.write_bundle(connection, file, progress)
    desk.answer({"file": str(file), "events": number}, lambda screen: f"已写 {number} 条到 {file}")


@cli.command()
@click.option("--schema", is_flag=True, help="列出全部环节和事项：材料项、类型、由谁办理")
@pass_desk
def safety(desk: Desk, schema: bool) -> None:
    """走遍状态机，证明没有绕过验收和稳定运行一季的许可。"""
    from states import safety as walks
    from workflow import answers

    if schema:
        table = answers.schema()
        desk.answer(table, lambda screen: screen.schema(table))
        return
    found = walks.walk()
    document = answers.proof(found)
    desk.answer(document, lambda screen: screen.proof(document))
    if not found.holds:
        raise click.exceptions.Exit(1)


# Shared small parts ---------------------------------------------------------------------------


def _files(paths: Sequence[Path]) -> "tuple[File, ...]":
    from workflow import attachments

    return attachments.read(paths)


def _units(desk: Desk, database: "Database", unit: str | None) -> list[str] | None:
    from workflow import config, register

    if unit is None:
        return None
    with database.reading() as connection:
        return config.unit_codes(register.plan_in_force(connection), unit)


def _visible(who: "Actor | None", units: list[str] | None) -> list[str] | None:
    """The units asked for, within the reader's scope."""
    if who is None or who.unit is None:
        return units
    return [unit for unit in units if unit == who.unit] if units is not None else [who.unit]


def _clocks(
    desk: Desk,
    database: "Database",
    as_of: date | None,
    known_at: datetime | None,
    *,
    outlook: bool = False,
) -> "Clocks":
    from workflow import config

    return config.clocks(desk.day(database), as_of, known_at, outlook=outlook)


def run(arguments: Sequence[str]) -> int:
    """Runs one command and answers its exit status; the one boundary for errors."""
    from states.errors import CaseError

    as_json = "--json" in arguments
    try:
        status = cli.main(list(arguments), prog_name="xianli", standalone_mode=False)
    except CaseError as error:
        _show_error(error, as_json=as_json)
        return error.status
    except click.exceptions.NoArgsIsHelpError as error:
        if as_json:
            _show_usage(click.UsageError("Missing command.", error.ctx), as_json=True)
        else:
            click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        _show_usage(error, as_json=as_json)
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("已中止；没有写完的内容都没有写入", err=True)
        return 130
    except BrokenPipeError:
        # The reader of our output went away, as `head` does: nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        _show_bug(error, as_json=as_json)
        return 70
    return status if isinstance(status, int) else 0


def _show_error(error: "CaseError", *, as_json: bool) -> None:
    from workflow import answers

    document = answers.error(error)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    from notifications.screen import Screen

    failure = document["error"]
    assert isinstance(failure, dict)
    click.echo(Screen(100, colour=False).error(failure), err=True)


def _show_usage(error: click.ClickException, *, as_json: bool) -> None:
    from states.errors import UsageFault

    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else "xianli"
    remedy = f"{command} --help 查看用法"
    message = in_chinese(error.format_message())
    general = [option for parameter in cli.params for option in parameter.opts]
    if isinstance(error, click.NoSuchOption) and error.option_name in general:
        message = f"{error.option_name} 要写在命令前面"
        rest = command.removeprefix("xianli ")
        remedy = f"写作 xianli {error.option_name} … {rest} …"
    _show_error(UsageFault(message, remedy=remedy), as_json=as_json)


def _show_bug(error: Exception, *, as_json: bool) -> None:
    traceback.print_exception(error)
    told = f"程序出错（不是您的操作问题）：{type(error).__name__}: {error}"
    failure: dict[str, Json] = {
        "status": 70,
        "code": "bug",
        "message": told,
        "place": None,
        "remedy": "没有写入任何内容；请把以上英文信息发给维护人员",
        "reasons": [],
    }
    if as_json:
        click.echo(json.dumps({"error": failure}, ensure_ascii=False, indent=2))
    else:
        click.echo(told, err=True)


def main() -> None:
    """The entry point of the command `xianli`."""
    # A command reads many rows and ends: looking them all through for cycles again and again took a
    # fifth of the time of `check`. What there is to collect is still collected, less often.
    gc.set_threshold(100_000, 20, 100)
    for stream in (sys.stdout, sys.stderr):
        # Old terminals speak GBK: what they cannot show becomes a question mark, never a crash.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
