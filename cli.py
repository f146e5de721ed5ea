"""The command line: parse, one call, print (design, section 8).

`workflow` is imported inside the commands, so that `--help` answers at once. The clock, the screen
and the environment are read here and passed in.
"""

import codecs
import gc
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from time import perf_counter
from typing import IO, TYPE_CHECKING, TypeVar

import click

from states.vocabulary import FactKind, GateKind, Role, State, Trigger, Word

if TYPE_CHECKING:
    from fractions import Fraction
    from json import JSONEncoder

    from notifications.screen import Screen
    from states.errors import CaseError
    from states.facts import Actor
    from states.plan import Json
    from workflow.attachments import File
    from workflow.cases import Clocks
    from workflow.config import Day
    from workflow.db import Database
    from workflow.engine import Order
    from workflow.operation import Log, Server
    from workflow.oplog import Failure, Fields, Tally
    from workflow.receipts import Asked, Document
    from workflow.settings import Settings
    from workflow.signing import Signer

AnyWord = TypeVar("AnyWord", bound=Word)
FILE = click.Path(path_type=Path, dir_okay=False)
# How much of an answer is held before it goes to a file.
IN_MEMORY = 1 << 20
# A file that is handed in: what is in it belongs to what is asked under a key.
INPUT = click.Path(path_type=Path, dir_okay=False)
PEOPLE = tuple(role for role in Role if role is not Role.SYSTEM)
GATES = tuple(kind for kind in GateKind if kind is not GateKind.NONE)


# click's own words, in the order in which they are put into Chinese: on help pages, and in errors.
HELP = (
    (r"^Usage: ?", "用法："),
    (r"^Options$", "选项"),
    (r"^Commands$", "命令"),
    (r"\[OPTIONS\]", "[选项]"),
    (r"\[COMMAND\] \[ARGS\]\.\.\.", "[命令 [参数]...]"),
    (r"COMMAND \[ARGS\]\.\.\.", "命令 [参数]..."),
    (r"\bTEXT\b", "文字"),
    (r"\bINTEGER\b", "数字"),
    (r"\bDIRECTORY\b", "目录"),
    (r"Show this message and exit\.", "显示本说明"),
    (r"Show the version and exit\.", "显示版本号"),
    (r"\[default: ", "[默认："),
    (r"; required\]|\[required\]", "[必填]"),
)
ERRORS = (
    *HELP,
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


def in_chinese(text: str, phrases: tuple[tuple[str, str], ...] = HELP) -> str:
    """What click says, in Chinese; what is not in the list stays as it is."""
    for english, chinese in phrases:
        text = re.sub(english, chinese, text)
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
    """A command whose help is in Chinese, and whose run is logged."""

    context_class = Context

    def invoke(self, ctx: click.Context) -> object:
        begin(ctx)
        return super().invoke(ctx)


class Group(click.Group):
    """A group of such commands."""

    context_class = Context
    command_class = Command
    group_class = type

    def invoke(self, ctx: click.Context) -> object:
        if self.invoke_without_command:
            begin(ctx)
        return super().invoke(ctx)


def begin(ctx: click.Context) -> None:
    """From here on the run is this command's."""
    names: list[str] = []
    context: click.Context | None = ctx
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name or "")
        context = context.parent
    desk = ctx.find_object(Desk)
    if desk is not None:
        desk.run.begin(" ".join(names), desk)


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


class Shares(click.ParamType["Fraction"]):
    """A share between nothing and all, exactly: `0.05` or `5%`."""

    name = "比例"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> "Fraction":
        from fractions import Fraction

        text = str(value)
        if re.fullmatch(r"[0-9]{0,3}(\.[0-9]{1,9})?%?", text) and re.search("[0-9]", text):
            share = Fraction(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
            if 0 < share < 1:
                return share
        raise click.BadParameter(f"“{value}”不是 0 与 1 之间的比例，写作 0.05 或 5%", ctx, param)


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
class Run:
    """One run of the program, as its log tells it; most have none."""

    began: float = field(default_factory=perf_counter)
    failed: str | None = None
    bug: "list[Failure] | None" = None
    _fields: dict[str, object] = field(default_factory=dict)
    _desk: "Desk | None" = None
    _log: "Log | None" = None
    _tally: "Tally | None" = None
    _counting: ExitStack = field(default_factory=ExitStack)

    def begin(self, command: str, desk: "Desk") -> None:
        """Looks whether this command, with the desk's configuration, is to be logged."""
        from states.errors import CaseError
        from workflow import operation

        try:
            home = operation.home_of(desk.url)
            self._log = operation.load(desk.config, home, os.environ).log
        except CaseError:
            # Who needs the file is told; this command may not.
            return
        if self._log is None:
            return
        from importlib.metadata import version

        from workflow import oplog

        if self._tally is None:
            self._tally = oplog.Tally()
            self._counting.enter_context(oplog.counting(self._tally, perf_counter))
        self._desk = desk
        self._fields = {
            "command": command,
            "login": None,
            "database": oplog.database(desk.url),
            "version": version("xianli"),
            "pid": os.getpid(),
        }

    @property
    def on_stderr(self) -> bool:
        """Whether the log goes to the error stream, where then nothing else belongs."""
        return self._log is not None and self._log.folder is None

    def end(self, status: int) -> None:
        """Tells how it ended."""
        self._counting.close()
        seconds = round(perf_counter() - self.began, 3)
        told = {"event": "command", "status": status, "error": self.failed, "seconds": seconds}
        self.note(told if self.bug is None else {**told, "bug": self.bug})

    def note(self, fields: "Fields") -> None:
        """Adds a line, with what was counted since the last."""
        if self._log is None or self._tally is None:
            return
        from workflow import oplog

        # On a server who acts is known once the connection is there.
        login = oplog.named(self._desk.login if self._desk else None)
        try:
            line = {**fields, **self._fields, "login": login, **self._tally.take()}
            oplog.write(self._log, line, datetime.now(UTC), sys.stderr)
        except OSError as error:
            click.echo(f"运行日志没有写成：{error.strerror}", err=True)


@dataclass
class Desk:
    """What every command shares: the database's address, who acts, the day, how to answer."""

    url: str
    login: str | None
    today: date | None
    as_json: bool
    key_file: Path | None = None
    config: Path | None = None
    run: "Run" = field(default_factory=lambda: Run())

    def database(self, *, signs: bool = True) -> "Database":
        """The database, which must exist.

        What is written is signed, unless it is the program itself that writes.
        """
        from workflow import db

        database = db.connect(self.url, limits=self.server().limits)
        if database.shared:
            self.login = self.identified(database)
        if signs and self.login:
            database.unlock = cache(lambda: self.unlock(database))
        return database

    def identified(self, database: "Database") -> str | None:
        """Who acts on a server: the login that it has checked, if an officer's; never a claim."""
        from workflow import register

        with database.reading() as connection:
            return register.connected(connection, self.login)

    def server(self) -> "Server":
        """How a server is used, by the configuration file; a file's database does not ask it."""
        from workflow import db, operation

        if not db.is_server(self.url):
            return operation.Server(environment=os.environ)
        return operation.load(self.config, operation.home_of(self.url), os.environ).server

    def unlock(self, database: "Database") -> "Signer | None":
        """What this officer signs with; asks for a passphrase if there is one."""
        from workflow import keyring

        return keyring.unlock(
            database,
            self.writer(),
            agent=os.environ.get("SSH_AUTH_SOCK"),
            file=self.key_file,
            ask=lambda name: asked(f"{name} 的口令"),
        )

    def writer(self) -> str:
        """The login of who writes."""
        from states.errors import UsageFault

        if not self.login:
            raise UsageFault(
                "这条命令要写入，须说明是谁在办理",
                place="--as",
                remedy="加 --as 账号，或设环境变量 XIANLI_OFFICER；"
                "在服务器上用人员名册中的账号连接数据库",
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
        """The database, for who may see all of it; nothing is signed."""
        from workflow import register

        database = self.database(signs=False)
        register.require_whole_view(self.reader(database))
        return database

    def instant(self, database: "Database") -> datetime:
        """When what is written now is recorded."""
        from workflow import config

        return config.writing_instant(database, self.today, datetime.now(UTC))

    def clock(self, database: "Database") -> Callable[[], datetime]:
        """The clock of what writes for long; a drill's stands still on its day."""
        from workflow import register

        with database.reading() as connection:
            drill = register.is_drill(connection)
        if drill:
            return lambda: self.instant(database)
        # Refuses a --today.
        self.instant(database)
        return lambda: datetime.now(UTC)

    def viewing_instant(self, database: "Database") -> datetime:
        """As of when a command that writes nothing decides: a drill's day need not be given."""
        from workflow import journal

        if self.today is not None:
            return self.instant(database)
        day = self.day(database)
        return journal.noon(day.today) if day.drill else datetime.now(UTC)

    def settings(self, database: "Database") -> "Settings":
        """The configuration file, or what holds without one."""
        from workflow import settings

        return settings.load(self.config, database.home, os.environ)

    def county(self) -> "Database":
        """The database, for the county office or who holds the file itself."""
        from workflow import register

        database = self.database()
        who = self.reader(database)
        if who is not None:
            register.require_county(who)
        return database

    def day(self, database: "Database") -> "Day":
        """The day that reading stands on."""
        from workflow import config

        return config.reading_day(database, self.today, datetime.now(UTC))

    def screen(self) -> "Screen":
        """The terminal as it is."""
        from notifications.screen import Screen

        terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        # A pipe gets each record in one line, unless somebody says how wide it is.
        width = shutil.get_terminal_size().columns if terminal or "COLUMNS" in os.environ else None
        return Screen(
            width,
            colour=terminal and "NO_COLOR" not in os.environ,
            ascii_signs=_is_gbk(sys.stdout.encoding) or os.environ.get("TERM") == "dumb",
        )

    def asked(self, key: str | None, **instead: "Json") -> "Asked | None":
        """The command at hand under its key: all that was given to it, files by their content.

        `instead` stands for parameters whose text does not say all. Where an answer is to go is no
        part of it. None without a key.
        """
        from workflow import receipts

        if not key:
            return None
        context = click.get_current_context()
        given: dict[str, Json] = {
            str(parameter.name): _given(context.params[str(parameter.name)])
            for parameter in context.command.params
            if parameter.name in context.params and _is_asked(parameter)
        }
        return receipts.asked(
            self.login, key, {"command": context.command_path, **given, **instead}
        )

    def once(
        self,
        database: "Database",
        asked: "Asked | None",
        do: Callable[["Database"], "Document"],
        *,
        done: Callable[["Document"], bool] = lambda answer: True,
    ) -> "Document":
        """What `do` answers; under a key it is done once, and who asks again is told so."""
        from workflow import receipts

        document = receipts.once(database, asked, do, done=done)
        if asked is not None and document["repeated"]:
            click.echo("此键以前用过，没有重复登记", err=True)
        return document

    def answer(self, document: "Json", text: Callable[["Screen"], str]) -> None:
        """Prints the answer: as JSON, or as the text that people read."""
        if self.as_json:
            _print(_laid_by(_encoder().iterencode(document)))
        else:
            screen = self.screen()
            click.echo(screen.fit(text(screen)))

    def listing(self, documents: "Iterable[Document]", limit: int) -> "Listing":
        """Takes up a list however long it is; `limit` is how many lines are shown, 0 for all."""
        if self.as_json:
            return Listing(written=_laid_by(_list_pieces(documents)))
        shown, count = [], 0
        for document in documents:
            count += 1
            if limit < 1 or count <= limit:
                shown.append(document)
        return Listing(shown, count)

    def answer_list(
        self, found: "Listing", text: "Callable[[Screen, Sequence[Document], int], str]"
    ) -> None:
        """Prints a list: as JSON, or the lines shown and how many there are."""
        if found.written is not None:
            _print(found.written)
        else:
            screen = self.screen()
            click.echo(screen.fit(text(screen, found.shown, found.count)))

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


@dataclass(frozen=True)
class Listing:
    """A list to be answered: the lines to be shown and how many there are, or all of it as JSON."""

    shown: "Sequence[Document]" = ()
    count: int = 0
    written: IO[str] | None = None


def _encoder() -> "JSONEncoder":
    import json

    return json.JSONEncoder(ensure_ascii=False, indent=2)


def _json(document: "Json") -> str:
    return _encoder().encode(document)


def _list_pieces(documents: "Iterable[Document]") -> Iterator[str]:
    """The same as `_json` of the list, a document at a time."""
    between = "[\n  "
    for document in documents:
        yield between + _json(document).replace("\n", "\n  ")
        between = ",\n  "
    yield "[]" if between.startswith("[") else "\n]"


def _laid_by(pieces: Iterable[str]) -> IO[str]:
    """All the pieces, in a temporary file of our own where they are many.

    Nothing is printed before the last one is there: what fails on the way is the answer then.
    """
    from tempfile import SpooledTemporaryFile

    file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - open as long as the answer is
    for piece in pieces:
        file.write(piece.encode())
    file.seek(0)
    return TextIOWrapper(file, encoding="utf-8", newline="")


def _print(written: IO[str]) -> None:
    with written:
        while part := written.read(IN_MEMORY):
            click.echo(part, nl=False)
    click.echo()


def _is_asked(parameter: click.Parameter) -> bool:
    """Whether a parameter says what is to be done, not under which key or where the answer goes."""
    if parameter.name in ("key", "force"):
        return False
    return parameter.type is INPUT or not isinstance(parameter.type, click.Path)


def _given(value: object) -> "Json":
    """A parameter's value as JSON; a file by its name and what is in it."""
    from workflow import journal

    match value:
        case None | bool() | int():
            return value
        case tuple() | list():
            return [_given(one) for one in value]
        case Path():
            # Who cannot read it is told by the command itself.
            content = value.read_bytes() if value.is_file() and os.access(value, os.R_OK) else b""
            return {"name": value.name, "sha256": journal.digest(content)}
    return str(value)


def _is_gbk(encoding: str | None) -> bool:
    """Whether the terminal speaks GBK: it shows line-drawing characters two columns wide."""
    try:
        return codecs.lookup(encoding or "utf-8").name in ("gbk", "gb2312", "gb18030", "cp936")
    except LookupError:
        return False


def asked(prompt: str) -> str:
    """A passphrase, typed unseen; the prompt is no part of the answer."""
    return str(click.prompt(prompt, hide_input=True, err=True))


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
@click.option(
    "--key-file",
    type=FILE,
    envvar="XIANLI_KEY",
    help="签名用的私钥文件（XIANLI_KEY）；ssh-agent 里有就不必给出",
)
@click.option(
    "--config",
    envvar="XIANLI_CONFIG",
    type=FILE,
    help="配置文件（XIANLI_CONFIG）；默认为数据库旁的 xianli.toml，没有也可以",
)
@click.option("--json", "as_json", is_flag=True, help="输出 JSON，供程序读取")
@click.version_option(package_name="xianli", prog_name="xianli")
@click.pass_context
def cli(
    context: click.Context,
    url: str,
    login: str | None,
    today: date | None,
    key_file: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """先立后破：清洁取暖改造逐户管理，从确村确户到允许拆除原设施。

    新的取暖设施稳定运行满一个采暖季之前，绝不允许拆除原有取暖设施。
    """
    context.obj = Desk(url, login, today, as_json, key_file, config, context.ensure_object(Run))


PASSWORD_FILE = click.option(
    "--password-file",
    type=FILE,
    help="数据库账号的口令写在这个文件的第一行；不写则在终端上输入，留空即不设口令（证书、peer）",
)


NEW_PASSWORD_FILE = click.option(
    "--password-file", type=FILE, help="新口令写在这个文件的第一行；不写则在终端上输入"
)


def _new_password(
    desk: Desk, login: str, file: Path | None, *, may_be_none: bool = True
) -> str | None:
    """The password of a new login on a server; None for none, and where there is no server."""
    from workflow import access, db

    if not db.is_server(desk.url):
        if file is not None:
            raise click.UsageError("SQLite 文件没有账号口令，不用 --password-file")
        return None
    if file is not None:
        return access.password_in(file)
    if not sys.stdin.isatty():
        if may_be_none and not desk.as_json:
            told = f"没有给出 {login} 的口令，新账号只能用证书或 peer 登录；要设用 --password-file"
            click.echo(told, err=True)
        return None
    words = f"{login} 连接数据库的口令"
    return (
        str(
            click.prompt(
                f"{words}（留空即不设）" if may_be_none else words,
                default="" if may_be_none else None,
                show_default=False,
                hide_input=True,
                confirmation_prompt="再输一遍",
                err=True,
            )
        )
        or None
    )


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
@PASSWORD_FILE
@pass_desk
def init(
    desk: Desk, plan_name: str, drill: bool, first: str, name: str, password_file: Path | None
) -> None:
    """新建数据库，载入计划，登记首位县清洁取暖办人员。

    在服务器上由数据库管理员办理（先 db setup），首位人员同时得到连接数据库的账号。
    """
    from workflow import setup

    made = setup.create(
        desk.url,
        plan_name,
        drill=drill,
        login=first,
        name=name,
        today=desk.today,
        clock=datetime.now(UTC),
        password=_new_password(desk, first, password_file),
    )
    desk.answer(made.document, lambda screen: made.text)


AS_OF = click.option("--as-of", type=Dates(), help="看这一天的实情（按发生日期）")
KNOWN_AT = click.option("--known-at", type=Instants(), help="看这一时刻台账上的情况（按登记时间）")
FORCE = click.option("--force", is_flag=True, help="覆盖已有的文件")
KEY = click.option("--key", help="幂等键：本人用同一个键重复提交只登记一次")


# 计划 -----------------------------------------------------------------------------------------


@cli.group()
def plan() -> None:
    """查看和检查计划。"""


@plan.command("show")
@pass_desk
def plan_show(desk: Desk) -> None:
    """显示生效的计划：阶段、责任单位和任务、规则参数及是否核实、采暖季。"""
    from workflow import answers_county, register

    with desk.database().reading() as connection:
        document = answers_county.plan(register.plan_in_force(connection))
    desk.answer(document, lambda screen: screen.plan(document))


@plan.command("check")
@click.argument("file", metavar="NAME|FILE")
@pass_desk
def plan_check(desk: Desk, file: str) -> None:
    """检查计划文件 FILE 是否完整、前后一致；不写入任何内容。"""
    from workflow import answers_county, config

    document = answers_county.plan(config.load_plan(file))
    desk.answer(document, lambda screen: f"计划没有问题\n\n{screen.plan(document)}")


@plan.command("revise")
@click.argument("file", metavar="NAME|FILE")
@click.option("--apply", "apply_", is_flag=True, help="付诸实施；不写则只看影响，不写入")
@click.option("--attach", multiple=True, type=INPUT, help="依据文件")
@click.option("--reason", help="修订理由")
@KEY
@pass_desk
def plan_revise(
    desk: Desk,
    file: str,
    apply_: bool,
    attach: Sequence[Path],
    reason: str | None,
    key: str | None,
) -> None:
    """用计划文件 FILE 修订现行计划：先逐户列出影响，再由县清洁取暖办付诸实施。

    涉及采暖季和核实的修订须两人：一人提出，另一人用同一文件复核。放宽要求的修订一律不行。
    """
    from states import evidence
    from workflow import answers_county, config, register, revision

    new = config.load_plan(file)
    database = desk.database()
    if apply_:
        text = evidence.plain(reason, "--reason") if reason else None
        login, now, files = desk.writer(), desk.instant(database), _files(attach)

        def revise(one: "Database") -> "Document":
            revised = revision.revise(one, new, files, text, login, now)
            return answers_county.revision(revised.impact, apply=True, revised=revised)

        document = desk.once(database, desk.asked(key, file=new.hash), revise)
    else:
        register.require_whole_view(desk.reader(database))
        today = desk.day(database).today
        with database.reading() as connection:
            found = revision.examine(connection, new, today)
        document = answers_county.revision(found, apply=False)
    desk.answer(document, lambda screen: screen.revision(document))
    if document["refused"]:
        raise click.exceptions.Exit(1)


@plan.command("diagram")
@click.argument("out", type=FILE, required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(("mermaid", "svg")),
    help="不写则看 OUT 的后缀，再无则 mermaid",
)
@click.option("--live", is_flag=True, help="写上各环节现有户数、各步办过几次、逾期待办几户")
@AS_OF
@KNOWN_AT
@click.option("--unit", help="责任单位编码或名称；不写即全部可见的单位")
@FORCE
@pass_desk
def plan_diagram(
    desk: Desk,
    out: Path | None,
    form: str | None,
    live: bool,
    as_of: date | None,
    known_at: datetime | None,
    unit: str | None,
    force: bool,
) -> None:
    """画出一户从确村确户到允许拆除的各环节；写到 OUT，不写 OUT 则显示在屏幕上。"""
    from notifications import diagram
    from workflow import answers_pages, register, spreadsheet
    from workflow import dashboard as dashboards

    if out is not None:
        spreadsheet.refuse_existing(out, force=force)
    found = None
    if live or as_of is not None or known_at is not None or unit is not None:
        database = desk.database()
        clocks = _clocks(desk, database, as_of, known_at)
        units = _visible(desk.reader(database), _units(desk, database, unit))
        with database.reading() as connection:
            plan = register.plan_known_at(connection, clocks.known_at)
            found = dashboards.live(connection, plan, clocks, units)
    kind = form or ("svg" if out is not None and out.suffix == ".svg" else "mermaid")
    text = diagram.svg(found) if kind == "svg" else f"{diagram.mermaid(found)}\n"
    if out is not None:
        dashboards.write_text(out, text)
    document = answers_pages.diagram(str(out) if out else None, kind, text, found)
    told = f"{kind} 图已写到 {out}" if out else text.rstrip("\n")
    desk.answer(document, lambda screen: told)


@plan.command("schedule")
@click.option("--unit", help="责任单位编码或名称；不写即全部可见的单位")
@click.option("--as-of", type=Dates(), help="看这一天的实情（按发生日期）")
@pass_desk
def plan_schedule(desk: Desk, unit: str | None, as_of: date | None) -> None:
    """倒排工期：各责任单位每个环节按月应完成多少户，今天应完成多少、落后多少。"""
    from workflow import answers_county, register
    from workflow import progress as progresses

    database = desk.database()
    clocks = _clocks(desk, database, as_of, None)
    units = _visible(desk.reader(database), _units(desk, database, unit))
    with database.reading() as connection:
        found = register.plan_in_force(connection)
        document = answers_county.progress(
            progresses.progress(connection, found, clocks, units),
            found,
            drill=register.is_drill(connection),
        )
    desk.answer(document, lambda screen: screen.progress(document))


# 节假日 ---------------------------------------------------------------------------------------


@cli.group()
def calendar() -> None:
    """工作日历：节假日和调休上班日。"""


@calendar.command("import")
@click.argument("file", type=INPUT)
@click.option("--attach", multiple=True, type=INPUT, help="通知原件，可重复")
@click.option("--dry-run", is_flag=True, help="只看哪些期限会变，不写入")
@KEY
@pass_desk
def calendar_import(
    desk: Desk, file: Path, attach: Sequence[Path], dry_run: bool, key: str | None
) -> None:
    """录入一年的节假日安排 FILE（由县清洁取暖办办理），列出因此变动的期限。

    FILE 是 TOML 文本，写法见 docs/example/holidays-2027.toml。同一年再录一次即为更改。
    """
    from workflow import answers_county, holidays

    database = desk.database()
    actor, now, files = desk.writer(), desk.instant(database), _files(attach)

    def enter(one: "Database") -> "Document":
        found = holidays.import_file(one, file, files, actor=actor, now=now, dry_run=dry_run)
        return answers_county.holidays_entered(found)

    document = desk.once(database, None if dry_run else desk.asked(key), enter)
    desk.answer(document, lambda screen: screen.holidays_entered(document))


@calendar.command("list")
@pass_desk
def calendar_list(desk: Desk) -> None:
    """列出已知哪些年的节假日、来源，各阶段每月的工作日数。"""
    from workflow import answers_county, holidays, register

    database = desk.database()
    day = desk.day(database)
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        document = answers_county.calendar(holidays.known(connection, plan, day.today))
    desk.answer(document, lambda screen: screen.calendar(document))


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
@PASSWORD_FILE
@KEY
@pass_desk
def officer_add(
    desk: Desk,
    login: str,
    name: str,
    role: Role,
    unit: str | None,
    person: str | None,
    password_file: Path | None,
    key: str | None,
) -> None:
    """登记办理人员 LOGIN（由县清洁取暖办办理）；在服务器上他同时得到连接数据库的账号。

    已有数据库账号的保留原来的口令。初始口令请本人尽快用 officer password 改掉。
    """
    from workflow import answers_county, setup

    database = desk.database()
    actor, now = desk.writer(), desk.instant(database)
    password = _new_password(desk, login, password_file)

    def add(one: "Database") -> "Document":
        found = setup.add_officer(
            one, login, name, role, unit, person, actor=actor, now=now, password=password
        )
        return answers_county.officers([found])[0]

    document = desk.once(database, desk.asked(key), add)
    desk.answer(document, lambda screen: f"已登记：\n{screen.officers([document])}")


@officer.command("list")
@pass_desk
def officer_list(desk: Desk) -> None:
    """列出办理人员。"""
    from workflow import answers_county, keyring, register

    with desk.database().reading() as connection:
        document = answers_county.officers(
            register.officers(connection), keyring.in_use(connection)
        )
    desk.answer([*document], lambda screen: screen.officers(document))


@officer.command("password")
@NEW_PASSWORD_FILE
@pass_desk
def officer_password(desk: Desk, password_file: Path | None) -> None:
    """改自己连接数据库的口令（只在服务器上）；口令不以明文传送。"""
    from workflow import access

    login = access.change_password(
        desk.database(signs=False),
        lambda login: _new_password(desk, login, password_file, may_be_none=False),
    )
    desk.answer({"login": login}, lambda screen: f"已改 {login} 的口令")


@officer.command("disable")
@click.argument("login")
@KEY
@pass_desk
def officer_disable(desk: Desk, login: str, key: str | None) -> None:
    """停用账号 LOGIN；此前的登记照旧有效。"""
    from workflow import setup

    database = desk.database()
    actor, now = desk.writer(), desk.instant(database)

    def disable(one: "Database") -> "Document":
        setup.disable_officer(one, login, actor=actor, now=now)
        return {"login": login, "active": False}

    document = desk.once(database, desk.asked(key), disable)
    desk.answer(document, lambda screen: f"已停用 {login}")


@officer.group("key")
def officer_key() -> None:
    """办理人员的签名密钥：本人生成，县清洁取暖办只登记公钥。"""


UNTIL = click.option("--until", "until", type=Dates(), help="公钥有效期的最后一天；不写即长期")


@officer_key.command("new")
@click.argument("file", type=FILE)
@pass_desk
def officer_key_new(desk: Desk, file: Path) -> None:
    """为自己生成密钥 FILE（口令加密）和公钥 FILE.pub；私钥不要交给任何人。

    用 ssh-keygen -t ed25519 生成的也可以。
    """
    from states.errors import UsageFault
    from workflow import signing

    passphrase = asked("新口令")
    if asked("再输入一次口令") != passphrase:
        raise UsageFault("两次输入的口令不一样；没有生成密钥", remedy="重新运行")
    key = signing.new_key(file, passphrase, desk.login or file.name)
    document: dict[str, Json] = {
        "file": str(file),
        "public_key_file": f"{file}.pub",
        "key": key.fingerprint,
    }
    desk.answer(
        document,
        lambda screen: (
            f"已生成密钥 {file}（口令加密，自己保管）\n"
            f"公钥 {file}.pub 交县清洁取暖办登记，并当面核对指纹：\n{key.fingerprint}"
        ),
    )


@officer_key.command("add")
@click.argument("login")
@click.argument("file", type=INPUT)
@UNTIL
@KEY
@pass_desk
def officer_key_add(
    desk: Desk, login: str, file: Path, until: date | None, key: str | None
) -> None:
    """为账号 LOGIN 登记公钥 FILE（.pub 文件）；此后其一切登记都须签名（由县清洁取暖办办理）。"""
    from workflow import answers_county, setup

    database = desk.database()
    actor, now = desk.writer(), desk.instant(database)

    def add(one: "Database") -> "Document":
        return answers_county.key(setup.add_key(one, login, file, until, actor=actor, now=now))

    document = desk.once(database, desk.asked(key), add)
    told = f"已登记 {login} 的公钥，请与本人核对指纹：\n{document['key']}"
    desk.answer(document, lambda screen: told)


@officer_key.command("revoke")
@click.argument("login")
@KEY
@pass_desk
def officer_key_revoke(desk: Desk, login: str, key: str | None) -> None:
    """撤销账号 LOGIN 的公钥；此前的签名照旧有效（由县清洁取暖办办理）。"""
    from workflow import answers_county, setup

    database = desk.database()
    actor, now = desk.writer(), desk.instant(database)

    def revoke(one: "Database") -> "Document":
        return answers_county.key(setup.revoke_key(one, login, actor=actor, now=now))

    document = desk.once(database, desk.asked(key), revoke)
    desk.answer(document, lambda screen: f"已撤销 {login} 的公钥 {document['key']}")


# 台账, 设备清单, 网络 ---------------------------------------------------------------------------


@cli.group()
def ledger() -> None:
    """导入、导出台账，生成空白表。"""


@ledger.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=INPUT)
@click.option(
    "--dry-run",
    is_flag=True,
    help="不写入数据库；有问题或按惯例读入的，在台账旁边写一份标注副本 名称-核对.xlsx",
)
@click.option("--marked", type=FILE, help="标注副本写到哪里（与 --dry-run 同用，只有一份台账时）")
@FORCE
@KEY
@pass_desk
def ledger_import(
    desk: Desk,
    files: Sequence[Path],
    dry_run: bool,
    marked: Path | None,
    force: bool,
    key: str | None,
) -> None:
    """导入台账 FILE（xlsx、xls、et、csv），可一次给出几份：每份全部导入，或一户也不导入。"""
    from workflow import answers_files
    from workflow import ledger as ledgers

    if marked is not None and (not dry_run or len(files) > 1):
        raise click.UsageError("--marked 要与 --dry-run 同用，并且只给一份台账")
    database = desk.database()
    login, now = desk.writer(), desk.instant(database)

    def take(one: "Database", file: Path) -> "Document":
        with desk.progress(f"导入 {file.name}") as progress:
            found = ledgers.import_file(one, file, login, now, dry_run=dry_run, progress=progress)
        copy = ledgers.mark(file, found, marked, force=force) if dry_run else None
        return answers_files.imported(found, None if copy is None else str(copy))

    asked = None if dry_run else desk.asked(key)
    if asked is None:
        documents = [take(database, file) for file in files]
    else:
        documents = _imported_once(desk, database, asked, files, take)
    answer: Json = documents[0] if len(documents) == 1 else [*documents]
    desk.answer(answer, lambda screen: "\n".join(map(screen.imported, documents)))
    if any(document["verdict"] == "rejected" for document in documents):
        raise click.exceptions.Exit(3)


def _imported_once(
    desk: Desk,
    database: "Database",
    asked: "Asked",
    files: Sequence[Path],
    take: Callable[["Database", Path], "Document"],
) -> "list[Document]":
    """The answers to the files under a key.

    What was read in which way is personal data, so no receipt keeps it: it is read again.
    """
    from workflow import answers_files
    from workflow import ledger as ledgers

    readings: list[Json] = []

    def take_all(one: "Database") -> "Document":
        documents = [take(one, file) for file in files]
        readings.extend(document.pop("normalisations") for document in documents)
        return {"files": [*documents]}

    def all_accepted(answer: "Document") -> bool:
        return all(one["verdict"] == "accepted" for one in _documents(answer["files"]))

    whole = desk.once(database, asked, take_all, done=all_accepted)
    if whole["repeated"]:
        again = [ledgers.readings(database, file) for file in files]
        readings = [*map(answers_files.normalisations, again)]
    return [
        {**document, "normalisations": reading, "repeated": whole["repeated"]}
        for document, reading in zip(_documents(whole["files"]), readings, strict=True)
    ]


def _documents(value: "Json") -> "list[Document]":
    assert isinstance(value, list)
    return [one for one in value if isinstance(one, dict)]


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
@click.argument("file", type=INPUT)
@KEY
@pass_desk
def catalogue_import(desk: Desk, file: Path, key: str | None) -> None:
    """导入中标设备清单 FILE（列：型号、品牌、取暖方式、中标包号）。"""
    from workflow import setup

    database = desk.database()
    actor, now = desk.writer(), desk.instant(database)

    def take(one: "Database") -> "Document":
        return setup.import_catalogue(one, file, actor=actor, now=now)

    document = desk.once(database, desk.asked(key), take)
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
@click.option("--attach", multiple=True, type=INPUT, help="证明文件")
@KEY
@pass_desk
def gate_open(
    desk: Desk,
    village: str,
    unit: str,
    kind: GateKind,
    on: date,
    attach: Sequence[Path],
    key: str | None,
) -> None:
    """登记 VILLAGE 的网络开通（由县清洁取暖办办理，须附证明）。"""
    from workflow import answers_county, setup

    database = desk.database()
    actor, now, files = desk.writer(), desk.instant(database), _files(attach)

    def open_(one: "Database") -> "Document":
        found, warning = setup.open_gate(one, unit, village, kind, on, files, actor=actor, now=now)
        return {**answers_county.gates([found])[0], "warning": warning}

    document = desk.once(database, desk.asked(key), open_)
    told = f"\n注意：{document['warning']}" if document["warning"] else ""
    desk.answer(document, lambda screen: f"已登记：\n{screen.gates([document])}{told}")


@gate.command("list")
@pass_desk
def gate_list(desk: Desk) -> None:
    """列出已开通的网络。"""
    from workflow import answers_county, register

    with desk.database().reading() as connection:
        document = answers_county.gates(register.gates(connection))
    desk.answer([*document], lambda screen: screen.gates(document))


# 户 -------------------------------------------------------------------------------------------


@cli.command()
@click.option("--unit", help="责任单位编码或名称")
@click.option("--limit", type=int, default=30, show_default=True, help="最多列出几件；0 为全部")
@pass_desk
def todo(desk: Desk, unit: str | None, limit: int) -> None:
    """接下来办什么，最急的在前。"""
    from workflow import answers_daily, overdue, register

    database = desk.database()
    who, day = desk.reader(database), desk.day(database)
    units = _visible(who, _units(desk, database, unit))
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = overdue.todo(connection, plan, day.today, who, units)
    listing = desk.listing(map(answers_daily.todo, found), limit)
    desk.answer_list(listing, lambda screen, shown, count: screen.todo(shown, count))


@cli.group()
def case() -> None:
    """查看户的情况。"""


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
    from workflow import answers_daily, cases, register

    database = desk.database()
    clocks = _clocks(desk, database, as_of, known_at)
    units = _visible(desk.reader(database), _units(desk, database, unit))
    with database.reading() as connection:
        plan = register.plan_known_at(connection, clocks.known_at)
        listing = desk.listing(
            (
                answers_daily.position(position)
                for position in cases.each(connection, plan, clocks, units)
                if state is None or position.state is state
            ),
            limit,
        )
    desk.answer_list(listing, lambda screen, shown, count: screen.case_list(shown, count))


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
    from workflow import answers_daily, cases, register

    database = desk.database()
    clocks, who = _clocks(desk, database, as_of, known_at), desk.reader(database)
    with database.reading() as connection:
        plan, drill = (
            register.plan_known_at(connection, clocks.known_at),
            register.is_drill(connection),
        )
        facts, _ = cases.facts_of(connection, code, who, clocks)
        personal = cases.personal(connection, [code])[code]
    if reveal:
        from workflow import privacy

        desk.writer()
        assert who is not None
        privacy.reveal(database, who, [code], desk.instant(database), "case show")
    document = answers_daily.case(
        cases.position(facts, plan, clocks.as_of),
        facts,
        personal if reveal else personal.masked(),
        cases.unverified_permission(facts, plan, clocks.as_of),
        drill=drill,
        as_of=clocks.as_of,
        plan=plan,
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
    from workflow import answers_daily, overdue

    database = desk.database()
    clocks = _clocks(desk, database, as_of, known_at, outlook=True)
    who = desk.reader(database)
    with database.reading() as connection:
        found, unverified, drill = overdue.why(connection, code, trigger, clocks, who)
    document = answers_daily.why(code, found, unverified, drill=drill)
    desk.answer(document, lambda screen: screen.why(document))


@case.command("history")
@click.argument("code")
@AS_OF
@KNOWN_AT
@pass_desk
def case_history(desk: Desk, code: str, as_of: date | None, known_at: datetime | None) -> None:
    """CODE 户从登记以来的每一条记录。"""
    from workflow import answers_daily, cases, register

    database = desk.database()
    clocks, who = _clocks(desk, database, as_of, known_at), desk.reader(database)
    with database.reading() as connection:
        plan = register.plan_known_at(connection, clocks.known_at)
        _, events = cases.facts_of(connection, code, who, clocks)
    shown = [e for e in events if not clocks.past or e.occurred_on <= clocks.as_of]
    document = answers_daily.history(shown, cases.lateness(events, plan))
    desk.answer([*document], lambda screen: screen.history(document))


@case.command("erase")
@click.argument("code")
@click.option("--attach", multiple=True, type=INPUT, help="依据文件")
@click.option("--reason", help="理由")
@KEY
@pass_desk
def case_erase(
    desk: Desk, code: str, attach: Sequence[Path], reason: str | None, key: str | None
) -> None:
    """抹去 CODE 户的个人信息（由县清洁取暖办办理）：已退出的全部抹去，在办的只抹去旧版。

    日志照样可以核验：其中只有加盐的哈希，抹去后无从还原。
    """
    from states import evidence
    from workflow import privacy

    database = desk.database()
    text = evidence.plain(reason, "--reason") if reason else None
    login, now, files = desk.writer(), desk.instant(database), _files(attach)

    def erase(one: "Database") -> "Document":
        number, gone = privacy.erase(one, code, files, text, login, now)
        return {"code": code, "erased": number, "nothing_left": gone}

    document = desk.once(database, desk.asked(key), erase)
    told = "，已全部抹去" if document["nothing_left"] else "，保留现行的一版"
    desk.answer(document, lambda screen: f"{code} 的个人信息抹去 {document['erased']} 版{told}")


EVIDENCE = click.option(
    "-e", "pairs", multiple=True, type=Pairs(), help="材料项，可重复；见 xianli safety --schema"
)
ATTACH = click.option("--attach", multiple=True, type=INPUT, help="附件，可重复")
REASON = click.option("--reason", help="理由")


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
    from workflow import answers_daily, engine

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
    done = answers_daily.receipt(engine.advance(database, order, login, now))
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
    from workflow import answers_files
    from workflow import batch as batches

    database = desk.database()
    login, now = desk.writer(), desk.viewing_instant(database)
    with desk.progress("预览") as progress:
        found = batches.preview(database, file, login, now, progress)
    document = answers_files.batch(found, applied=False)
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
    from workflow import answers_files
    from workflow import batch as batches

    database = desk.database()
    login, now = desk.writer(), desk.instant(database)
    with desk.progress("办理") as progress:
        found = batches.apply(
            database, file, login, now, partial=partial, key=key, progress=progress
        )
    document = answers_files.batch(found, applied=True)
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
@click.option("--notify", is_flag=True, help="并按今天发出到期的提醒、预警、函件和每人的汇总")
@pass_desk
def check(
    desk: Desk, as_of: date | None, known_at: datetime | None, unit: str | None, notify: bool
) -> None:
    """各责任单位逾期多少、将要逾期多少；新旧取暖都没有的户最先列出。

    加 --notify 办一轮提醒：系统自己的事，不必写 --as；有没办成的，退出码为 4 或 6。
    """
    from workflow import answers_daily, forecast, overdue, quarantine, register

    if notify and (as_of is not None or known_at is not None):
        raise click.UsageError("--notify 按今天办，不能与 --as-of、--known-at 同用")
    database = desk.database()
    done = None
    if notify:
        from workflow import dispatch

        done = dispatch.round_(database, desk.instant(database))
    clocks = _clocks(desk, database, as_of, known_at, outlook=True)
    units = _visible(desk.reader(database), _units(desk, database, unit))
    today = desk.day(database).today
    with database.reading() as connection:
        plan = register.plan_known_at(connection, clocks.known_at)
        foreseen = forecast.look_ahead(connection, plan, clocks, today, units)
        found = overdue.check(connection, plan, clocks, units)
        document = answers_daily.check(
            found,
            foreseen.by_unit,
            drill=register.is_drill(connection),
            quarantined=quarantine.codes(connection),
        )
        document["service_warning"] = None
        if overdue.is_served(connection):
            # Only here: the service's library takes a tenth of a second to load.
            from workflow import scheduler as service

            document["service_warning"] = service.warning(
                connection, lambda: desk.settings(database), desk.viewing_instant(database)
            )
    if done is None:
        desk.answer(document, lambda screen: screen.check(document))
        return
    told = answers_daily.round_(done)
    document["notified"] = told
    desk.answer(document, lambda screen: f"{screen.check(document)}\n{screen.round(told)}")
    if done.swept.status:
        raise click.exceptions.Exit(done.swept.status)


# 提醒和函件 ------------------------------------------------------------------------------------


@cli.group()
def notify() -> None:
    """提醒、预警、函件：看发给谁、发了没有，登记回执。"""


@notify.command("list")
@click.option("--person", help="只看发给这个人（人员标识）的消息")
@click.option("--unit", help="只看这个责任单位的人和函件")
@click.option("--all", "everything", is_flag=True, help="已发出、已回执的也列出")
@pass_desk
def notify_list(desk: Desk, person: str | None, unit: str | None, everything: bool) -> None:
    """列出消息和办理状态、函件和回执；默认只列未发出的消息、未回执的函件。"""
    from workflow import answers_daily, dispatch, register

    database = desk.database()
    day, units = desk.day(database), _visible(desk.reader(database), _units(desk, database, unit))
    with database.reading() as connection:
        messages = dispatch.listed(connection, person, units, everything=everything)
        found = dispatch.letters_listed(connection, units, everything=everything)
        plan, drill = register.plan_in_force(connection), register.is_drill(connection)
    document = answers_daily.notify(messages, found, plan, day.today, drill=drill)
    desk.answer(document, lambda screen: screen.notify(document))


@notify.command("preview")
@click.argument("key", required=False)
@pass_desk
def notify_preview(desk: Desk, key: str | None) -> None:
    """显示消息 KEY 的内容；不写 KEY 就显示现在办一轮会发出什么。不写入任何内容。"""
    from workflow import dispatch

    database = desk.database()
    units = _visible(desk.reader(database), None)
    if key is None:
        messages = dispatch.rehearse(
            database, desk.viewing_instant(database), units, who=desk.reader(database)
        )
    else:
        with database.reading() as connection:
            messages = [dispatch.message(connection, key, units)]
    document: dict[str, Json] = {"messages": [*messages]}
    desk.answer(document, lambda screen: dispatch.read_out(messages))


@notify.command("reply")
@click.argument("number")
@ATTACH
@REASON
@KEY
@pass_desk
def notify_reply(
    desk: Desk, number: str, attach: Sequence[Path], reason: str | None, key: str | None
) -> None:
    """登记函件 NUMBER（文号或回执识别码）的回执，由该单位或县清洁取暖办，须附回执。

    事项是否逾期不因此改变。
    """
    from states import evidence
    from workflow import answers_daily, letters, register

    database = desk.database()
    text = evidence.plain(reason, "--reason") if reason else None
    login, now, files = desk.writer(), desk.instant(database), _files(attach)
    today = desk.day(database).today

    def reply(one: "Database") -> "Document":
        found = letters.reply(one, number, files, login=login, now=now, reason=text)
        with one.reading() as connection:
            return answers_daily.letter(found, register.plan_in_force(connection), today)

    document = desk.once(database, desk.asked(key), reply)
    told = f"已登记 {document['number']} 的回执（{document['replied_on']}）"
    desk.answer(document, lambda screen: told)


# 信件与调度 ------------------------------------------------------------------------------------


@notify.command("send")
@click.option("--now", "at_once", is_flag=True, help="不等静默时段过去，也不等下次重试的时间")
@click.option("--again", is_flag=True, help="先把已放弃的放回待发；改好配置以后用")
@pass_desk
def notify_send(desk: Desk, at_once: bool, again: bool) -> None:
    """把待发的信发一轮：按配置文件走邮件、群机器人，或放进发件箱文件夹。"""
    from workflow import answers_daily, outbox

    database = desk.county()
    settings, clock = desk.settings(database), desk.clock(database)
    with database.reading() as connection:
        settings.check_names(connection)
    if again:
        outbox.requeue(database, clock())
    done = outbox.deliver(database, settings, clock, at_once=at_once)
    document = answers_daily.delivered(done)
    desk.answer(document, lambda screen: screen.delivered(document))


@cli.group()
def scheduler() -> None:
    """长期运行的调度服务：按时发信、核对日志、备份。"""


@scheduler.command("run")
@click.option("--once", is_flag=True, help="只把到时未做的任务各做一次就结束；供 cron 或演练使用")
@pass_desk
def scheduler_run(desk: Desk, once: bool) -> None:
    """运行调度服务，直到按 Ctrl+C 或收到停止信号；可同时运行几个，只有一个主持。

    加 --once 时有任务没有做成，退出码为 1。
    """
    import signal
    from threading import Event

    from workflow import answers_daily
    from workflow import scheduler as service

    database, stop = desk.county(), Event()
    room = service.Room(
        database, desk.settings(database), desk.clock(database), stop.is_set, desk.run.note
    )
    # What it says may name households and addresses; the log never does.
    say: Callable[[str], None] = (lambda line: None) if desk.run.on_stderr else _log
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if not once:
        service.run(room, stop, say)
        return
    well = service.run_once(room, say)
    with database.reading() as connection:
        document = answers_daily.scheduler(service.status(connection, room.settings, room.clock()))
    desk.answer(document, lambda screen: screen.scheduler(document))
    if not well:
        raise click.exceptions.Exit(1)


def _log(line: str) -> None:
    click.echo(f"{datetime.now(UTC).astimezone():%Y-%m-%d %H:%M:%S} {line}", err=True)


@scheduler.command("status")
@pass_desk
def scheduler_status(desk: Desk) -> None:
    """谁在主持、各任务上次和下次运行、有没有逾时；没有人主持时警告。"""
    from workflow import answers_daily
    from workflow import scheduler as service

    database = desk.whole_county()
    settings, now = desk.settings(database), desk.viewing_instant(database)
    with database.reading() as connection:
        document = answers_daily.scheduler(service.status(connection, settings, now))
    desk.answer(document, lambda screen: screen.scheduler(document))


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
    from workflow import answers_daily, forecast, register

    database = desk.database()
    clocks = _clocks(desk, database, as_of, known_at, outlook=True)
    units = _visible(desk.reader(database), _units(desk, database, unit))
    with database.reading() as connection:
        plan = register.plan_known_at(connection, clocks.known_at)
        found = forecast.look_ahead(connection, plan, clocks, desk.day(database).today, units)
        document = answers_daily.forecast(found, plan, drill=register.is_drill(connection))
    desk.answer(document, lambda screen: screen.forecast(document))


@cli.group("db")
def database_() -> None:
    """照看数据库：建角色、备份、恢复、升级、搬迁、体检。"""


@database_.command("backup")
@click.argument("file", type=FILE)
@FORCE
@pass_desk
def db_backup(desk: Desk, file: Path, force: bool) -> None:
    """把整个数据库另存一份到 FILE，别人照常工作；写完查过完好才算数。

    里面有个人信息，只给本账号读。每天自动的备份由 xianli scheduler run 做。
    """
    from workflow import answers_database, backup, spreadsheet

    database = desk.county()
    spreadsheet.refuse_existing(file, force=force)
    document = answers_database.backed_up(backup.save(database, file, desk.server()))
    desk.answer(document, lambda screen: screen.backed_up(document))


@database_.command("setup")
@click.option("--service", metavar="账号", help="定时任务（scheduler）连接数据库用的账号")
@PASSWORD_FILE
@pass_desk
def db_setup(desk: Desk, service: str | None, password_file: Path | None) -> None:
    """在 PostgreSQL 上建好先立的角色，并把数据库对其他人关上；由服务器管理员运行，可重复。"""
    from workflow import access, db

    password = _new_password(desk, service, password_file) if service else None
    left = access.set_up(db.server_of(desk.url), service, password)
    document: dict[str, Json] = {"service": service, "left_open": [*left]}
    told = "\n".join(
        (
            "角色已建好，数据库只对先立的人员开放",
            *left,
            "下一步：xianli init 建一个计划的库；放回备份用 db restore，搬家用 db copy",
        )
    )
    desk.answer(document, lambda screen: told)


@database_.command("upgrade")
@pass_desk
def db_upgrade(desk: Desk) -> None:
    """把旧版本程序的数据库升级到本程序的版本：先备份，再一次做完，中断了仍是原来的。"""
    from workflow import answers_database, operation, settings, upgrade

    given = settings.load(desk.config, operation.home_of(desk.url), os.environ)
    done = upgrade.upgrade(desk.url, given.times.backup_folder, datetime.now(UTC), given.server)
    document = answers_database.upgraded(done)
    desk.answer(document, lambda screen: screen.upgraded(document))


@database_.command("restore")
@click.argument("file", type=FILE)
@click.option("--receipt", "receipts", multiple=True, type=FILE, help="见证人保存的回执，可重复")
@click.option("--accept-loss", is_flag=True, help="备份里没有的登记会丢失，仍要恢复")
@click.option(
    "--old", metavar="URL", help="服务器上：将被它代替的现有数据库，用来数清备份里缺哪些登记"
)
@pass_desk
def db_restore(
    desk: Desk, file: Path, receipts: Sequence[Path], accept_loss: bool, old: str | None
) -> None:
    """用备份 FILE 代替数据库：先核验备份、对照见证回执，现有的另存一份，再一次换好。

    服务器上的备份恢复到还没有这个计划的库里（由数据库管理员办理）：全部核验通过才能打开。
    """
    from workflow import answers_database, restore
    from workflow import checkpoint as checkpoints

    given = [checkpoints.read_receipt(one) for one in receipts]
    done = restore.restore(
        file,
        desk.url,
        given,
        accept_loss=accept_loss,
        now=datetime.now(UTC),
        old=old,
        server=desk.server(),
    )
    document = answers_database.restored(done)
    desk.answer(document, lambda screen: screen.restored(document))


@database_.command("copy")
@click.argument("target", metavar="TARGET")
@pass_desk
def db_copy(desk: Desk, target: str) -> None:
    """搬家：把整个数据库抄到新库 TARGET（SQLite 文件或 postgresql:// 地址），逐表核对后才算数。

    抄的时候不要有人写入：其间写入的不会抄过去。中断了新库里什么也不留，再来一次即可。
    """
    from workflow import answers_database, moving

    database = desk.county()
    with desk.progress("搬迁") as progress:
        moved = moving.copy(database, target, progress)
    document = answers_database.moved_house(moved)
    desk.answer(document, lambda screen: screen.moved_house(document))


@database_.command("doctor")
@pass_desk
def db_doctor(desk: Desk) -> None:
    """给数据库体检：设置、表、完好、日志、时钟、见证、服务、权限、磁盘、备份；什么也不改。

    有必须处理的问题时退出码为 1。
    """
    from workflow import answers_database, doctor

    database = desk.county()
    found = doctor.examine(
        database,
        desk.settings(database),
        desk.viewing_instant(database),
        lambda: datetime.now(UTC),
    )
    document = answers_database.examined(found)
    desk.answer(document, lambda screen: screen.examined(document))
    if not document["healthy"]:
        raise click.exceptions.Exit(1)


@cli.group()
def report() -> None:
    """台账和报表。"""


@report.command("rollup")
@click.argument("databases", metavar="[DB]...", nargs=-1)
@AS_OF
@pass_desk
def report_rollup(desk: Desk, databases: Sequence[str], as_of: date | None) -> None:
    """几个县、几个年度的计划一行一个：任务、在册、完工、验收、许可、逾期，并合计（演练不计）。

    不写 DB 即 --db 的数据库；服务器上的库里有几个计划就列几个。看全县的账号才能看。
    """
    from workflow import answers_files, register, rollup

    def clocks_of(database: "Database") -> "Clocks":
        asking = Desk(desk.url, desk.login, desk.today, desk.as_json)
        if database.shared:
            asking.login = asking.identified(database)
        register.require_whole_view(asking.reader(database))
        return _clocks(asking, database, as_of, None)

    document = answers_files.rollup(rollup.of(databases or [desk.url], clocks_of))
    desk.answer(document, lambda screen: screen.rollup(document))


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
    from workflow import answers_files, quarantine, register, reports, spreadsheet

    database = desk.database()
    clocks = _clocks(desk, database, as_of, None)
    units = _visible(desk.reader(database), _units(desk, database, unit))
    spreadsheet.refuse_existing(file, force=force)
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = reports.write_ledgers(connection, file, plan, clocks, units)
        document = answers_files.ledgers(
            str(file),
            clocks.as_of,
            found,
            drill=register.is_drill(connection),
            quarantined=quarantine.codes(connection),
        )
    desk.answer(document, lambda screen: screen.ledgers(document))


FORMATS = ("docx", "xlsx", "html")


@report.command("bulletin")
@click.argument("folder", metavar="OUTDIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--period",
    type=click.Choice(["week", "旬", "month"]),
    default="week",
    show_default=True,
    help="周（截止日前七天）、旬（1–10、11–20、21–月末）或月",
)
@click.option("--unit", help="责任单位编码或名称；不写即全部可见的单位")
@AS_OF
@KNOWN_AT
@click.option("--no-ranking", is_flag=True, help="不排名")
@click.option(
    "--format", "formats", multiple=True, type=click.Choice(FORMATS), help="可重复；不写即三种都写"
)
@click.option("--publish", is_flag=True, help="编号公布，数字从此固定；同一期只公布一次")
@FORCE
@KEY
@pass_desk
def report_bulletin(
    desk: Desk,
    folder: Path,
    period: str,
    unit: str | None,
    as_of: date | None,
    known_at: datetime | None,
    no_ranking: bool,
    formats: Sequence[str],
    publish: bool,
    force: bool,
    key: str | None,
) -> None:
    """通报：各单位进展，写成 Word、Excel 和网页，放进 OUTDIR。"""
    from states.errors import UsageFault
    from workflow import answers_files, bulletin_files
    from workflow.bulletin import Period

    if publish and (unit is not None or known_at is not None):
        raise UsageFault(
            "公布的是全县现在所知的数字", place="--publish", remedy="去掉 --unit、--known-at"
        )
    database = desk.database()
    clocks = _clocks(desk, database, as_of, known_at)
    wanted = bulletin_files.Wanted(
        Period(period),
        clocks,
        _visible(desk.reader(database), _units(desk, database, unit)),
        not no_ranking,
        tuple(dict.fromkeys(formats or FORMATS)),
    )
    if publish:
        login, now = desk.writer(), desk.instant(database)
        found = bulletin_files.publish(
            database, folder, wanted, login=login, now=now, asked=desk.asked(key), force=force
        )
    else:
        found = bulletin_files.write(database, folder, wanted, force=force)
    document = answers_files.bulletin(found)
    if publish and key:
        document["repeated"] = found.repeated
    desk.answer(document, lambda screen: screen.bulletin(document))


@report.command("bulletins")
@pass_desk
def report_bulletins(desk: Desk) -> None:
    """已公布的通报：文号、期间、截止的日期和时刻、数字的摘要。"""
    from workflow import answers_files, bulletins

    database = desk.whole_county()
    with database.reading() as connection:
        document = answers_files.bulletins(list(bulletins.published(connection)))
    desk.answer(document, lambda screen: screen.bulletins(document))


@report.command("compare")
@click.argument("number")
@pass_desk
def report_compare(desk: Desk, number: str) -> None:
    """公布之后的更正改变了 NUMBER 号通报的哪些数字，由哪些户、哪些事件引起。"""
    from workflow import answers_files, bulletins

    database = desk.whole_county()
    with database.reading() as connection:
        found = bulletins.compare(connection, bulletins.named(connection, number))
    document = answers_files.bulletin_difference(found)
    desk.answer(document, lambda screen: screen.bulletin_difference(document))


@report.command("dashboard")
@click.argument("out", type=FILE)
@click.option("--unit", help="责任单位编码或名称；不写即全部可见的单位")
@AS_OF
@KNOWN_AT
@click.option("--no-ranking", is_flag=True, help="不给责任单位排名，按附件的次序列出")
@FORCE
@pass_desk
def report_dashboard(
    desk: Desk,
    out: Path,
    unit: str | None,
    as_of: date | None,
    known_at: datetime | None,
    no_ranking: bool,
    force: bool,
) -> None:
    """把进度看板写到 OUT（一个 html 文件，可打印）：对照附件、曲线、逾期、采暖季、证据。"""
    from workflow import answers_pages, dashboard, register, spreadsheet

    database = desk.database()
    clocks = _clocks(desk, database, as_of, known_at)
    units = _visible(desk.reader(database), _units(desk, database, unit))
    spreadsheet.refuse_existing(out, force=force)
    today, now = desk.day(database).today, desk.viewing_instant(database)
    with database.reading() as connection:
        plan = register.plan_known_at(connection, clocks.known_at)
        found = dashboard.draw(connection, plan, clocks, today, now, units, ranking=not no_ranking)
        size = dashboard.write(out, found)
        document = answers_pages.dashboard(str(out), size, found)
    desk.answer(document, lambda screen: screen.dashboard(document))


@report.command("dossier")
@click.argument("given", metavar="[CODE] OUT", nargs=-1, required=True)
@click.option("--unit", help="责任单位编码或名称：该单位每户一份，写到目录 OUT")
@click.option("--all", "everything", is_flag=True, help="全部可见的户每户一份，写到目录 OUT")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(("html", "docx", "pdf")),
    help="格式，可重复；只写一户时以 OUT 的后缀为准，其余写在旁边  [默认：html]",
)
@AS_OF
@KNOWN_AT
@FORCE
@pass_desk
def report_dossier(
    desk: Desk,
    given: Sequence[str],
    unit: str | None,
    everything: bool,
    formats: Sequence[str],
    as_of: date | None,
    known_at: datetime | None,
    force: bool,
) -> None:
    """把 CODE 户的一户一档写到 OUT，或用 --unit、--all 把许多户写到目录 OUT；个人信息遮蔽。

    写许多户时可以随时中断：再运行一次，已写好且内容没变的不重写，其余补齐。
    """
    from states.errors import UsageFault
    from workflow import answers_files, dossier_files, register

    *code, name = given
    if len(code) + (unit is not None) + everything != 1:
        raise UsageFault(
            "CODE、--unit、--all 须给出一个，且只给一个",
            place="report dossier",
            remedy="例如 xianli report dossier 103-0001 103-0001.html，或 --all 目录",
        )
    out = Path(name)
    database = desk.database(signs=False)
    clocks, who = _clocks(desk, database, as_of, known_at), desk.reader(database)
    if code:
        with database.reading() as connection:
            plan = register.plan_known_at(connection, clocks.known_at)
            found = dossier_files.one(connection, plan, clocks, code[0], who)
        shelf = dossier_files.write(found, out, formats, force=force)
    else:
        units = _visible(who, _units(desk, database, unit))
        with desk.progress("一户一档") as progress:
            shelf = dossier_files.many(
                desk.url,
                out,
                units,
                formats or ("html",),
                clocks,
                force=force,
                progress=progress,
                limits=desk.server().limits,
            )
    document = answers_files.dossiers(shelf, clocks.as_of)
    desk.answer(document, lambda screen: screen.dossiers(document))


@report.command("site")
@click.argument("outdir", type=click.Path(path_type=Path))
@click.option("--unit", help="责任单位编码或名称；不写即全部可见的单位")
@AS_OF
@KNOWN_AT
@click.option("--force", is_flag=True, help="OUTDIR 是另一范围的网站时也替换")
@pass_desk
def report_site(
    desk: Desk,
    outdir: Path,
    unit: str | None,
    as_of: date | None,
    known_at: datetime | None,
    force: bool,
) -> None:
    """把看板建成网站放到目录 OUTDIR：全县、各单位、各户各一页，可按编号和村查找；个人信息遮蔽。

    不用服务器，从文件夹直接打开 index.html 即可。原有网站建好后一次换上；只替换先立自己建的。
    """
    from workflow import answers_pages, site

    database = desk.database(signs=False)
    clocks = _clocks(desk, database, as_of, known_at)
    units = _visible(desk.reader(database), _units(desk, database, unit))
    today, now = desk.day(database).today, desk.viewing_instant(database)
    with desk.progress("网站") as progress:
        built = site.build(
            desk.url,
            outdir,
            units,
            clocks,
            today,
            now,
            force=force,
            progress=progress,
            limits=desk.server().limits,
        )
    document = answers_pages.site(built)
    desk.answer(document, lambda screen: screen.site(document))


@report.command("evaluation")
@click.argument("out", type=FILE)
@click.option("--season", required=True, help="评价的采暖季，如 2023-2024")
@click.option("--unit", help="责任单位编码或名称；不写即全部可见的单位")
@AS_OF
@KNOWN_AT
@FORCE
@pass_desk
def report_evaluation(
    desk: Desk,
    out: Path,
    season: str,
    unit: str | None,
    as_of: date | None,
    known_at: datetime | None,
    force: bool,
) -> None:
    """把绩效自评报告写到 OUT（docx 或 html）：得分、完成、时限、稳定运行、违规、一户一档。"""
    from workflow import answers_pages, evaluation, register, spreadsheet

    evaluation.refuse_suffix(out)
    database = desk.database()
    clocks = _clocks(desk, database, as_of, known_at)
    units = _visible(desk.reader(database), _units(desk, database, unit))
    spreadsheet.refuse_existing(out, force=force)
    now = desk.viewing_instant(database)
    with database.reading() as connection:
        plan = register.plan_known_at(connection, clocks.known_at)
        found = evaluation.evaluate(connection, plan, season, clocks, now, units)
    size = evaluation.write(out, found)
    document = answers_pages.evaluation(str(out), size, found)
    desk.answer(document, lambda screen: screen.evaluation(document))


@cli.group()
def audit() -> None:
    """核验日志，查许可和拆除是否合规。"""


@audit.command("verify")
@click.option(
    "--receipt", "receipts", multiple=True, type=FILE, help="见证人自己保存的回执，可重复"
)
@click.option(
    "--chain",
    is_flag=True,
    help="只快速核对内容、哈希、前后相接、序号和各户末条；规则、签名、回执和各表都不看",
)
@pass_desk
def audit_verify(desk: Desk, receipts: Sequence[Path], chain: bool) -> None:
    """核验日志：哈希链、序号、签名、检查点和见证回执、与各表是否一致。不通过时退出码为 6。"""
    if chain and receipts:
        raise click.UsageError("--chain 不核对见证回执，不能与 --receipt 同用")
    from workflow import answers_audit, quarantine
    from workflow import audit as audits
    from workflow import checkpoint as checkpoints

    if chain:
        with desk.whole_county().reading() as connection:
            damage = quarantine.damage(connection)
        document = answers_audit.chain(damage)
        desk.answer(document, lambda screen: screen.chain(document))
        if not damage.whole:
            raise click.exceptions.Exit(6)
        return
    given = [checkpoints.read_receipt(file).text for file in receipts]
    with desk.whole_county().reading() as connection, desk.progress("核验") as progress:
        report = audits.report(connection, progress, given)
        found = audits.verification(connection, report)
    document = answers_audit.verification(found)
    desk.answer(document, lambda screen: screen.verification(document))
    if not found.verified:
        raise click.exceptions.Exit(6)


@audit.command("removal")
@pass_desk
def audit_removal(desk: Desk) -> None:
    """按第四节规则重算每一项许可和每一处拆除、封存。有问题时退出码为 1。"""
    from workflow import answers_audit, register
    from workflow import audit as audits

    with desk.whole_county().reading() as connection, desk.progress("核对") as progress:
        found = audits.report(connection, progress)
        plan = register.plan_in_force(connection)
    document = answers_audit.removal(found, plan)
    desk.answer(document, lambda screen: screen.removal(document))
    if found.removal:
        raise click.exceptions.Exit(1)


@audit.command("certificate")
@click.argument("code")
@click.argument("file", type=FILE)
@click.option("--check", is_flag=True, help="不出具；核对 FILE 是不是现在会出具的那一页，一字不差")
@FORCE
@pass_desk
def audit_certificate(desk: Desk, code: str, file: Path, check: bool, force: bool) -> None:
    """为 CODE 户出具拆除许可证明 FILE（一页 HTML，可打印），按最近的检查点所知。

    拿到证明的人可用 python workflow/verify_certificate.py 审计包 FILE 独立核对；纸面扫二维码。
    """
    from workflow import answers_audit
    from workflow import certificate as certificates

    database = desk.database()
    who = desk.reader(database)
    with database.reading() as connection:
        found = certificates.certify(connection, code, who)
    same = certificates.same(found, file) if check else None
    if not check:
        certificates.write(found, file, force=force)
    document = answers_audit.certificate(found, str(file), same=same)
    desk.answer(document, lambda screen: screen.certificate(document))
    if same is False:
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


@audit.command("checkpoint")
@click.argument("file", type=FILE, required=False)
@click.option(
    "--since", type=int, metavar="数字", help="从第几条起证明；不写即从上次见证处，见证人要求时才写"
)
@FORCE
@KEY
@pass_desk
def audit_checkpoint(
    desk: Desk, file: Path | None, since: int | None, force: bool, key: str | None
) -> None:
    """为全部登记做一个检查点；写明 FILE 时连同证明写成送给见证人的文件。"""
    from workflow import answers_audit, spreadsheet, witness
    from workflow import checkpoint as checkpoints

    database = desk.whole_county()
    now = desk.instant(database)

    def make(one: "Database") -> "Document":
        if file is not None:
            spreadsheet.refuse_existing(file, force=force)
        return answers_audit.checkpoint(checkpoints.make(one, now))

    document = desk.once(database, desk.asked(key), make)
    if file is not None:
        made = answers_audit.checkpoint_of(document)
        with database.reading() as connection:
            request = checkpoints.request(connection, made, since)
        if force or not file.exists():
            witness.write(file, request.text)
        since = request.old
    document |= {"file": None if file is None else str(file), "since": since}
    desk.answer(document, lambda screen: screen.checkpoint(document))


@audit.command("witness")
@click.argument("file", type=FILE)
@click.option(
    "--state",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="见证人自己的目录：密钥和所见证过的条数、树根；第一次自动建立，须备份",
)
@click.option("--name", help="见证人的名称（英文字母、数字、. - _ /），第一次使用时定下")
@pass_desk
def audit_witness(desk: Desk, file: Path, state: Path, name: str | None) -> None:
    """（见证人用）核对检查点 FILE 是否在上次见证之上续写，是则签名并写回执 FILE.receipt。

    不需要数据库。倒退或分叉时不签名，退出码为 6。
    """
    from workflow import answers_audit, witness

    done = answers_audit.witnessed(witness.witness(file, state, name, datetime.now(UTC)))
    desk.answer(done, lambda screen: screen.witnessed(done))


@audit.group("receipt")
def audit_receipt() -> None:
    """见证人的回执。"""


@audit_receipt.command("import")
@click.argument("file", type=INPUT)
@KEY
@pass_desk
def audit_receipt_import(desk: Desk, file: Path, key: str | None) -> None:
    """核对并保存见证人的回执 FILE；日志与见证不符时退出码为 6。"""
    from workflow import answers_audit
    from workflow import checkpoint as checkpoints

    def take(one: "Database") -> "Document":
        return answers_audit.seen(checkpoints.import_receipt(one, file))

    document = desk.once(desk.whole_county(), desk.asked(key), take)
    desk.answer(document, lambda screen: screen.seen(document))


@audit.group("witness-key")
def audit_witness_key() -> None:
    """登记、撤销见证人的公钥。"""


@audit_witness_key.command("add")
@click.argument("file", type=INPUT)
@ATTACH
@KEY
@pass_desk
def audit_witness_key_add(desk: Desk, file: Path, attach: Sequence[Path], key: str | None) -> None:
    """登记见证人的公钥 FILE（witness.pub），须附见证单位的来函（由县清洁取暖办办理）。"""
    from workflow import checkpoint as checkpoints

    database = desk.database()
    actor, now, files = desk.writer(), desk.instant(database), _files(attach)

    def add(one: "Database") -> "Document":
        added = checkpoints.add_witness(one, file, files, actor=actor, now=now)
        return {"name": added.name, "key": added.line}

    document = desk.once(database, desk.asked(key), add)
    told = f"已登记见证人 {document['name']}，请与来函核对：\n{document['key']}"
    desk.answer(document, lambda screen: told)


@audit_witness_key.command("revoke")
@click.argument("name")
@KEY
@pass_desk
def audit_witness_key_revoke(desk: Desk, name: str, key: str | None) -> None:
    """撤销见证人 NAME 的公钥：其回执不再作数（由县清洁取暖办办理）。"""
    from workflow import checkpoint as checkpoints

    database = desk.database()
    actor, now = desk.writer(), desk.instant(database)

    def revoke(one: "Database") -> "Document":
        revoked = checkpoints.revoke_witness(one, name, actor=actor, now=now)
        return {"name": revoked.name, "key": revoked.line}

    document = desk.once(database, desk.asked(key), revoke)
    desk.answer(document, lambda screen: f"已撤销见证人 {document['name']}")


@audit.command("status")
@pass_desk
def audit_status(desk: Desk) -> None:
    """有多少登记已由外部见证、未见证的最早是哪一条；超过 24 小时给出警告。"""
    from workflow import answers_audit, quarantine, register
    from workflow import checkpoint as checkpoints

    database = desk.whole_county()
    now = desk.viewing_instant(database)
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        document = answers_audit.status(
            checkpoints.status(connection, now),
            quarantine.codes(connection),
            plan.signed,
        )
    desk.answer(document, lambda screen: screen.proof_status(document))


@audit.command("quarantine")
@click.argument("code")
@click.option("--reason", required=True, help="理由：怎样损坏、如何处置")
@KEY
@pass_desk
def audit_quarantine(desk: Desk, code: str, reason: str, key: str | None) -> None:
    """隔离日志对不上的 CODE 户：县清洁取暖办和审计人员一人提出，另一人用同一命令确认。

    此后该户不再写入，其他户可以继续发放许可，各报表都列出该户。
    """
    from states import evidence
    from workflow import answers_audit, quarantine

    database = desk.database()
    actor, now, text = desk.writer(), desk.instant(database), evidence.plain(reason, "--reason")

    def close(one: "Database") -> "Document":
        done = quarantine.quarantine(one, code, text, actor=actor, now=now)
        return answers_audit.quarantined(done)

    document = desk.once(database, desk.asked(key), close)
    desk.answer(document, lambda screen: screen.quarantine(document))


@audit.command("violations")
@click.option("--unit", help="责任单位编码或名称；不写即全县")
@click.option("--open", "only_open", is_flag=True, help="只列未销号的")
@AS_OF
@KNOWN_AT
@pass_desk
def audit_violations(
    desk: Desk, unit: str | None, only_open: bool, as_of: date | None, known_at: datetime | None
) -> None:
    """违规、投诉、审计发现登记簿：谁、何时、何事、处理结果、多少天、其后回访；销号的也不删。"""
    from workflow import answers_audit, register
    from workflow import violations as books

    database = desk.whole_county()
    clocks, units = _clocks(desk, database, as_of, known_at), _units(desk, database, unit)
    with database.reading() as connection:
        plan = register.plan_known_at(connection, clocks.known_at)
        found = books.register(connection, plan, clocks, units, only_open=only_open)
        drill = register.is_drill(connection)
    document = answers_audit.violations(found, clocks.as_of, drill=drill)
    desk.answer(document, lambda screen: screen.violations(document))


@audit.command("oddities")
@click.option("--unit", help="责任单位编码或名称；不写即全县")
@click.option("--limit", type=int, default=50, show_default=True, help="最多列出几处；0 为全部")
@pass_desk
def audit_oddities(desk: Desk, unit: str | None, limit: int) -> None:
    """可疑之处，最可疑的在前：重复的照片和设备编号、集中验收、验收早于通电、验收后无供热……

    只看日志，不是证据；没有用电数据，是否供热凭首次供热、测温和故障判断。
    """
    from workflow import answers_audit, register
    from workflow import oddities as odd

    database = desk.whole_county()
    today, units = desk.day(database).today, _units(desk, database, unit)
    with database.reading() as connection:
        found = odd.ranking(connection, register.plan_in_force(connection), today, units)
        drill = register.is_drill(connection)
    document = answers_audit.oddities(found, today, drill=drill)
    desk.answer(document, lambda screen: screen.oddities(document, limit))


@audit.command("asof")
@click.argument("day", metavar="DATE", type=Dates())
@KNOWN_AT
@click.option("--published", type=FILE, help="以前公布时存下的 --json 输出：列出此后的变化")
@pass_desk
def audit_asof(desk: Desk, day: date, known_at: datetime | None, published: Path | None) -> None:
    """全县各单位在 DATE 那天的数字；加 --known-at 即当时所知的数字。"""
    from workflow import answers_audit, asof, register

    database = desk.whole_county()
    clocks = _clocks(desk, database, day, known_at, place="DATE")
    kept = asof.read_published(published) if published else None
    with database.reading() as connection:
        found = asof.view(connection, register.plan_known_at(connection, clocks.known_at), clocks)
        against = asof.compare(connection, found, kept) if kept else None
    document = answers_audit.asof(found, against)
    desk.answer(document, lambda screen: screen.asof(document))


SHEET = click.option("--sheet", type=FILE, help="把入户表写到这个文件（xlsx），可直接打印")
DRAWING = ("seed", "risk", "tolerable", "expected", "states", "dry_run", "sheet", "force", "key")


@audit.group("sample", invoke_without_command=True)
@click.option("--risk", type=Shares(), default="0.05", show_default=True, help="误判风险")
@click.option(
    "--tolerable", type=Shares(), default="0.01", show_default=True, help="可容忍的不合格率"
)
@click.option(
    "--expected",
    type=int,
    default=0,
    show_default=True,
    help="预计查到几户不合格；越多要查的户越多",
)
@click.option("--seed", help="种子，例如当众抽取的号码；相同则名单相同")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=Words(State),
    help=f"抽哪个环节的户，可重复；不写即稳定运行一季和允许拆除：{listed(State)}",
)
@click.option("--dry-run", is_flag=True, help="只算要查多少户，不抽取，不写入")
@SHEET
@FORCE
@KEY
@click.pass_context
def audit_sample(
    context: click.Context,
    risk: "Fraction",
    tolerable: "Fraction",
    expected: int,
    seed: str | None,
    states: Sequence[State],
    dry_run: bool,
    sheet: Path | None,
    force: bool,
    key: str | None,
) -> None:
    """抽取入户抽查的户并记入日志（由审计人员办理）；户数按超几何分布精确计算，各单位都有。

    抽查结果用 sample results 交回，结论用 sample show 查看。
    """
    desk: Desk = context.obj
    if context.invoked_subcommand is not None:
        given = click.core.ParameterSource.COMMANDLINE
        if any(context.get_parameter_source(name) is given for name in DRAWING):
            raise click.UsageError("抽样的选项不能写在 results、show 前面")
        return
    from workflow import answers_audit, register, spreadsheet
    from workflow import sample as samples

    wanted = tuple(state for state in State if state in states)
    terms = samples.Terms(risk, tolerable, expected, wanted or samples.POPULATION)
    database = desk.whole_county()
    if dry_run:
        with database.reading() as connection:
            plan = register.plan_in_force(connection)
            size = answers_audit.sample_size(terms, samples.size(connection, terms), plan)
        desk.answer(size, lambda screen: screen.sample_size(size))
        return
    if seed is None:
        raise click.UsageError("缺少选项 '--seed'")
    login, now, seeded = desk.writer(), desk.instant(database), seed

    def draw(one: "Database") -> "Document":
        if sheet is not None:
            spreadsheet.refuse_existing(sheet, force=force)
        found = samples.draw(one, login, now, seeded, terms)
        with one.reading() as connection:
            plan, drill = register.plan_in_force(connection), register.is_drill(connection)
            earlier = sum(other.id < found.id for other in samples.draws(connection))
        return answers_audit.sample(found, plan, earlier, None, drill=drill)

    document = desk.once(database, desk.asked(key), draw)
    if sheet is not None and (force or not sheet.exists()):
        with database.reading() as connection:
            drawn = samples.standing(connection, int(str(document["id"]))).draw
            samples.write_sheet(connection, sheet, drawn, register.plan_in_force(connection))
    document["sheet"] = str(sheet) if sheet else None
    desk.answer(document, lambda screen: screen.sample(document))


@audit_sample.command("show")
@click.argument("id_", metavar="[ID]", type=int, required=False)
@SHEET
@FORCE
@pass_desk
def audit_sample_show(desk: Desk, id_: int | None, sheet: Path | None, force: bool) -> None:
    """第 ID 号抽样（不写即最近一次）：名单能否重抽出来，交回多少，结论是什么。"""
    from workflow import answers_audit, register, spreadsheet
    from workflow import sample as samples

    database = desk.whole_county()
    if sheet is not None:
        spreadsheet.refuse_existing(sheet, force=force)
    with database.reading() as connection:
        found, plan = samples.standing(connection, id_), register.plan_in_force(connection)
        if sheet is not None:
            samples.write_sheet(connection, sheet, found.draw, plan)
        every, drill = samples.draws(connection), register.is_drill(connection)
    where = str(sheet) if sheet else None
    document = answers_audit.sample_standing(found, plan, every, where, drill=drill)
    desk.answer(document, lambda screen: screen.sample_standing(document))


@audit_sample.command("results")
@click.argument("file", type=INPUT)
@click.option("--reason", help="更正已登记的结果时，说明理由")
@KEY
@pass_desk
def audit_sample_results(desk: Desk, file: Path, reason: str | None, key: str | None) -> None:
    """把填好的入户表 FILE 登记进来（由审计人员办理）：全部登记，或一户也不登记。

    可以分几次、分单位交回；没有填的行不算。全部交回后得出结论。
    """
    from states import evidence
    from workflow import answers_audit, register
    from workflow import sample as samples

    database = desk.database()
    text = evidence.plain(reason, "--reason") if reason else None
    login, now = desk.writer(), desk.instant(database)

    def take(one: "Database") -> "Document":
        found = samples.record(one, file, login, now, text)
        if found.standing is None:
            return answers_audit.sample_results(found, None)
        with one.reading() as connection:
            every, drill = samples.draws(connection), register.is_drill(connection)
            plan = register.plan_in_force(connection)
        standing = answers_audit.sample_standing(found.standing, plan, every, None, drill=drill)
        return answers_audit.sample_results(found, standing)

    document = desk.once(
        database, desk.asked(key), take, done=lambda answer: answer["verdict"] == "accepted"
    )
    desk.answer(document, lambda screen: screen.sample_results(document))
    if document["faults"]:
        raise click.exceptions.Exit(3)


@cli.command()
@click.option("--schema", is_flag=True, help="列出全部环节和事项：材料项、类型、由谁办理")
@pass_desk
def safety(desk: Desk, schema: bool) -> None:
    """走遍环节、日期、证据、重来和职责的组合，证明没有不合第四节的许可（约十几秒）。"""
    from states import safety as walks
    from workflow import answers_audit

    if schema:
        table = answers_audit.schema()
        desk.answer(table, lambda screen: screen.schema(table))
        return
    found = walks.walk()
    document = answers_audit.proof(found)
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
    """The units asked for, within the reader's scope. Raises NotPermitted beyond it."""
    from workflow import register

    if who is None or who.unit is None:
        return units
    if units is not None and set(units) != {who.unit}:
        raise register.not_your_unit()
    return [who.unit]


def _clocks(
    desk: Desk,
    database: "Database",
    as_of: date | None,
    known_at: datetime | None,
    *,
    outlook: bool = False,
    place: str = "--as-of",
) -> "Clocks":
    from workflow import config

    return config.clocks(desk.day(database), as_of, known_at, outlook=outlook, place=place)


def run(arguments: Sequence[str]) -> int:
    """Runs one command and answers its exit status; the one boundary for errors."""
    running = Run()
    status = _run(arguments, running)
    running.end(status)
    return status


def _run(arguments: Sequence[str], running: Run) -> int:
    from states.errors import CaseError

    as_json = "--json" in arguments
    try:
        status = cli.main(list(arguments), prog_name="xianli", standalone_mode=False, obj=running)
    except CaseError as error:
        running.failed = error.code
        _show_error(error, as_json=as_json)
        return error.status
    except click.exceptions.NoArgsIsHelpError as error:
        if as_json:
            _show_usage(click.UsageError("Missing command.", error.ctx), as_json=True)
        else:
            click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        running.failed = "usage"
        if isinstance(error, click.UsageError) and error.ctx is not None:
            begin(error.ctx)
        _show_usage(error, as_json=as_json)
        return 2
    except (click.Abort, KeyboardInterrupt):
        running.failed = "aborted"
        click.echo("已中止；没有写完的内容都没有写入", err=True)
        return 130
    except BrokenPipeError:
        # The reader of our output went away, as `head` does: nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from workflow import oplog

        running.failed, running.bug = "bug", oplog.failure(error)
        _show_bug(error, as_json=as_json, logged=running.on_stderr)
        return 70
    return status if isinstance(status, int) else 0


def _show_error(error: "CaseError", *, as_json: bool) -> None:
    from workflow import answers

    document = answers.error(error)
    if as_json:
        click.echo(_json(document))
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
    message = in_chinese(error.format_message(), ERRORS)
    general = [option for parameter in cli.params for option in parameter.opts]
    if isinstance(error, click.NoSuchOption) and error.option_name in general:
        message = f"{error.option_name} 要写在命令前面"
        rest = command.removeprefix("xianli ")
        remedy = f"写作 xianli {error.option_name} … {rest} …"
    _show_error(UsageFault(message, remedy=remedy), as_json=as_json)


def _show_bug(error: Exception, *, as_json: bool, logged: bool) -> None:
    told = f"程序出错（不是您的操作问题）：{type(error).__name__}"
    if not logged:
        # Where the error stream is the log, what the exception says may be of a household.
        import traceback

        traceback.print_exception(error)
        told += f": {error}"
    failure: dict[str, Json] = {
        "status": 70,
        "code": "bug",
        "message": told,
        "place": None,
        "remedy": "没有写入任何内容；请把以上英文信息发给维护人员",
        "reasons": [],
    }
    if as_json:
        click.echo(_json({"error": failure}))
    elif not logged:
        click.echo(told, err=True)


def main() -> None:
    """The entry point of the command `xianli`."""
    # A command loads its libraries, reads many rows and ends: looking them all through for cycles
    # again and again took a fifth of the time of `check`, and even once, after the loading, a
    # twelfth of that of `todo`. What there is to collect is still collected, less often.
    gc.set_threshold(500_000, 20, 100)
    for stream in (sys.stdout, sys.stderr):
        # Old terminals speak GBK: what they cannot show becomes a question mark, never a crash.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
