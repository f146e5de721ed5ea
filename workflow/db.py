"""The database: opening it, and transactions.

SQLite is the embedded default, PostgreSQL the shared one; what they do differently at this point is
in `sqlite` and `postgresql`. On both there is one writer at a time: the second of two waits for the
first and then sees what it did.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from states.errors import MISSHAPEN, CaseError, UsageFault, unreadable
from workflow import postgresql, sqlite
from workflow.errors import BadFile, Conflict, JournalBroken, NotPermitted, ServerGone
from workflow.operation import Limits
from workflow.signing import Signer

HEAD = "0004"
BUSY_SECONDS = 30


class Database:
    """An open database; `transaction` writes, `reading` sees one unchanging state.

    `unlock` gives what the events of a transaction are signed with (`workflow.keyring`). It is
    asked before the lock is taken: a person who types a passphrase keeps nobody waiting.
    """

    def __init__(
        self, engine: Engine, busy_seconds: float = BUSY_SECONDS, plan: str | None = None
    ) -> None:
        self.engine = engine
        self.busy_seconds = busy_seconds
        # On a server: the plan whose schema it is.
        self.plan = plan
        self.unlock: Callable[[], Signer | None] = lambda: None

    @property
    def shared(self) -> bool:
        """Whether it is a server's, not a file."""
        return self.engine.dialect.name == "postgresql"

    @property
    def file(self) -> Path:
        """Where it lies. Raises UsageFault for a server's."""
        return _file(self.engine.url)

    @property
    def url(self) -> str:
        """What another process connects to; it may hold a password."""
        url = self.engine.url
        if self.plan is not None:
            url = url.set(drivername="postgresql").update_query_dict({"plan": self.plan})
        return url.render_as_string(hide_password=False)

    @property
    def home(self) -> Path:
        """The folder where configuration and letters lie: beside the file, else where we stand."""
        return Path() if self.shared else self.file.parent

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction: all of it or nothing. Raises Conflict when it waited in vain."""
        signer = self.unlock()
        with self._errors_for_people(), self.engine.connect() as connection:
            connection = connection.execution_options(
                xianli_writes=True, xianli_signer=signer, xianli_plan=self.plan
            )
            with connection.begin():
                yield connection

    @contextmanager
    def rehearsal(self) -> Iterator[Connection]:
        """A write transaction that is always taken back, so that nothing of it is signed."""
        with self._errors_for_people(), self.engine.connect() as connection:
            connection = connection.execution_options(xianli_writes=True, xianli_rehearsal=True)
            with connection.begin() as begun:
                yield connection
                begun.rollback()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction that sees one state of the database."""
        with self._errors_for_people(), self.engine.connect() as connection, connection.begin():
            yield connection

    def lead(self) -> postgresql.SessionLock | None:
        """What the leading scheduler holds on a server as long as it lives; None for a file."""
        if not self.shared:
            return None
        return postgresql.SessionLock(self.engine, postgresql.LEADERS)

    def close(self) -> None:
        """Closes every connection, so that the file can be copied or moved."""
        self.engine.dispose()

    @contextmanager
    def _errors_for_people(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            failure = _gone(error) or _failure(
                str(error.orig), self.busy_seconds, timed_out=_timed_out(error)
            )
            failure = failure or self._misshapen()
            if failure is None:
                raise
            raise failure from error
        except MISSHAPEN as error:
            failure = self._misshapen()
            if failure is None:
                raise
            raise failure from error

    def _misshapen(self) -> CaseError | None:
        """The event that cannot be read, if there is one: it, and no bug of ours, is the reason.

        Whatever reads the journal may run into it; only then is it looked for.
        """
        # Not for every command: it brings the whole audit.
        from workflow import audit

        if self.shared and self.plan is None:
            return None
        try:
            with self.engine.connect() as connection, connection.begin():
                found = audit.unreadable(connection)
        except (DBAPIError, CaseError, *MISSHAPEN):
            return None
        if found is None or found.stream is None or found.seq is None:
            return None
        return unreadable(found.stream, found.seq)


# What the drivers say, in part, and what it means. The first that fits counts.
_TOLD: tuple[tuple[tuple[str, ...], type[CaseError], str, str], ...] = (
    (
        ("xianli: recorded_at is not now",),
        Conflict,
        "电脑时间与服务器时间相差太大：{told}",
        "校正电脑时间后再试；没有写入任何内容",
    ),
    (
        ("xianli: no such case for you", "row-level security policy"),
        NotPermitted,
        "没有这一户，或不在您的办理范围内：{told}",
        "核对编号和账号；没有写入任何内容",
    ),
    (
        ("xianli:",),
        JournalBroken,
        "数据库拒绝写入，与日志对不上：{told}",
        "运行 xianli audit verify 查看问题；没有写入任何内容",
    ),
    (
        ("not a database", "malformed", "invalid page"),
        BadFile,
        "数据库文件已损坏或不是数据库：{told}",
        "用最近的备份恢复",
    ),
    (
        ("Could not decode to UTF-8",),
        BadFile,
        "数据库中有文字读不出来，已损坏：{told}",
        "用最近的备份恢复；没有写入任何内容",
    ),
    (
        (
            "readonly",
            "read-only",
            "disk",
            "unable to open",
            "No space left",
        ),
        BadFile,
        "数据库写不进去：{told}",
        "检查目录权限和磁盘空间；没有写入任何内容",
    ),
    (
        ("No function matches",),
        BadFile,
        "服务器上的函数不是这一版程序的：{told}",
        "由数据库管理员运行一次：xianli --db 地址 db upgrade；没有写入任何内容",
    ),
    (
        ("permission denied for database", "temporary tables in database"),
        NotPermitted,
        "这个库还没有准备好，或这个账号不能在里面建库：{told}",
        "先由服务器管理员运行：xianli --db 地址 db setup；没有写入任何内容",
    ),
    (
        ("is another kind of login",),
        NotPermitted,
        "这个账号名在服务器上另有用处（管理员、服务等），不能登记给人：{told}",
        "换一个账号名；没有写入任何内容",
    ),
    (
        ("permission denied to grant role", "permission denied to create role"),
        NotPermitted,
        "这个账号管不了服务器上的角色：{told}",
        "用服务器的超级用户（如 postgres）运行；没有写入任何内容",
    ),
    (
        ("permission denied", "must be owner"),
        NotPermitted,
        "数据库不准这个账号这样做：{told}",
        "换有权的账号；没有写入任何内容",
    ),
    (
        ("connection",),
        BadFile,
        "与数据库的连接断了：{told}",
        "核对网络和服务器后再试；没有写入任何内容",
    ),
)
# How what the driver says begins where there is no connection yet.
_NOT_CONNECTED = ("connection failed", "connection is bad", "connection timeout", "failed to res")
# Why there is none, and what to do.
_WHY_NOT: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("no password supplied",),
        "账号要口令，没有给出",
        "口令写在 ~/.pgpass（Windows 是 %APPDATA%\\postgresql\\pgpass.conf；权限 0600），"
        "一行：主机:端口:库:账号:口令；或放在环境变量 PGPASSWORD",
    ),
    (
        ("password authentication failed",),
        "没有这个账号，或口令不对",
        "核对地址里的账号，和 ~/.pgpass 或 PGPASSWORD 里的口令；"
        "忘了的请服务器管理员重设（psql 里 \\password 账号）",
    ),
    (
        ("Peer authentication failed",),
        "在服务器本机上，操作系统的账号须与数据库账号同名",
        "换成那个操作系统账号运行；或请服务器管理员在 pg_ident.conf 里对应",
    ),
    (
        ("certificate verify failed", "server certificate for", "root certificate", "self-signed"),
        "服务器的证书核对不过，不能确定它就是那台服务器",
        "地址里的主机名要与证书上的一样；县里自己的证书机构用 ?sslrootcert=证书文件 指明",
    ),
    (
        ("valid client certificate", "certificate authentication failed", "sslcert", "private key"),
        "这个账号用证书登录，证书没有给出或不对",
        "地址里加 ?sslcert=证书&sslkey=私钥（私钥权限 0600）；证书的 CN 须是账号名",
    ),
    (
        ("no pg_hba.conf entry",),
        "服务器不接受这个账号从这台电脑连这个库，或要求加密",
        "请服务器管理员核对 pg_hba.conf；见 docs/server.md",
    ),
    (
        ("does not support SSL", "SSL is not enabled"),
        "服务器没有打开加密（TLS）",
        "请服务器管理员设 ssl = on 和证书；见 docs/server.md",
    ),
    (
        ("too many connections", "remaining connection slots", "too many clients"),
        "连接数已满",
        "关掉这个账号多开的窗口和程序，稍后再试；或请服务器管理员查看",
    ),
    (
        ("permission denied for database",),
        "这个账号不能进入这个库",
        "核对地址里的库名和账号；由县清洁取暖办用 xianli officer add 登记",
    ),
    (
        (' database "',),
        "服务器上没有这个库",
        "核对地址里的库名；新库由服务器管理员 createdb，再 xianli db setup",
    ),
    (
        (' role "', "not permitted to log in"),
        "服务器上没有这个账号，或它不能登录",
        "核对地址里的账号；由县清洁取暖办用 xianli officer add 登记",
    ),
    (
        ("resolve host", "Connection refused", "timeout", "No such file", "unreachable"),
        "服务器没有应答",
        "核对 --db 地址里的主机和端口、网络，以及服务器是否开着",
    ),
)


def why_not(told: str) -> CaseError | None:
    """Why there is no connection, for people; None where it is about something else."""
    if not told.startswith(_NOT_CONNECTED):
        return None
    line = told.strip().partition("\n")[0].removeprefix("connection failed: ")
    fitting = (why for words, *why in _WHY_NOT if any(word in told for word in words))
    message, remedy = next(fitting, ("原因见后", "核对 --db 的地址、账号和网络"))
    return BadFile(
        f"连不上数据库：{message}（{line}）", place="--db", remedy=f"{remedy}；没有写入任何内容"
    )


def _failure(told: str, waited: float, *, timed_out: bool) -> CaseError | None:
    """What a person is told of a driver's error; None where it is a bug of ours."""
    if timed_out or "locked" in told or "busy" in told:
        return Conflict(
            f"数据库忙：另有人正在写入，等了 {waited} 秒仍未轮到",
            remedy="稍后再试；没有写入任何内容",
        )
    if (failure := why_not(told)) is not None:
        return failure
    for words, kind, message, remedy in _TOLD:
        if any(word in told for word in words):
            return kind(message.format(told=told.strip().partition("\n")[0]), remedy=remedy)
    return None


def _gone(error: DBAPIError) -> CaseError | None:
    """What a person is told of a server that ended the connection; None where it is there yet."""
    if not error.connection_invalidated:
        return None
    told = str(error.orig).strip().partition("\n")[0]
    return ServerGone(
        f"数据库服务器中途断开：{told}",
        remedy="核对网络和服务器后再试；断开时正在提交的可能已经写入，先看一看是否已登记",
    )


def could_not_answer(error: DBAPIError) -> bool:
    """Whether the server went away or ran out of time or room: that says nothing of any row."""
    # 53 insufficient resources, 55 not in the state for it, 57 an operator's intervention.
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state[:2] in ("53", "55", "57")


def _timed_out(error: DBAPIError) -> bool:
    # 55P03 lock_not_available, 57014 query_canceled (statement_timeout), 40P01 deadlock_detected.
    return getattr(error.orig, "sqlstate", None) in ("55P03", "57014", "40P01")


def connect(
    url: str,
    *,
    new: bool = False,
    older: bool = False,
    plan: str | None = None,
    limits: Limits | None = None,
) -> Database:
    """The database at this URL or file name; `new` makes it, otherwise it must exist.

    A server's database holds several plans, each with its tables: the one that the address names
    (`?plan=`), `plan` where it is new, else the only one that this account has to do with. `older`
    takes one of an earlier version too, for who brings it up to date; `limits` are for a server.
    Raises UsageFault when it is not there (or, for `new`, is), BadFile when it is no database of
    ours, of another version, or out of reach.
    """
    address = _address(url)
    if address.get_backend_name() == "postgresql":
        return _on_server(address, new=new, older=older, plan=plan, limits=limits or Limits())
    target = _file(address)
    if new:
        sqlite.make(target)
    elif not target.exists():
        raise UsageFault(
            f"没有数据库 {target}",
            place=str(target),
            remedy="先建库：xianli init …；或用 --db 指明数据库",
            code="no_database",
        )
    database = Database(sqlite.engine_of(target, BUSY_SECONDS), BUSY_SECONDS)
    if not new:
        # Before any setting is made: a file that is not ours is not to be touched.
        _check_version(database, str(target), older=older)
        database.close()
    sqlite.configure(database.engine)
    return database


@contextmanager
def making(url: str, plan: str | None = None) -> Iterator[Database]:
    """A new database that is there once the block has ended well, and not before.

    A file is made under another name and gets its own at the end: whoever is killed in between
    leaves none under it. A server takes back what was begun. Raises as `connect`.
    """
    address = _address(url)
    if address.get_backend_name() == "postgresql":
        database = connect(url, new=True, plan=plan)
        try:
            yield database
        finally:
            database.close()
        return
    target = _file(address)
    sqlite.require_free(target)
    draft = sqlite.draft_of(target)
    database = connect(str(draft), new=True)
    try:
        yield database
        database.close()
        sqlite.put_in_place(draft, target)
    finally:
        database.close()
        sqlite.remove(draft)


def _on_server(
    address: URL, *, new: bool, older: bool, plan: str | None, limits: Limits
) -> Database:
    address, named = postgresql.split(address)
    place = address.render_as_string(hide_password=True)
    known, others = _plans(address, limits)
    if new:
        wanted = postgresql.require_name(named or plan or "")
        if wanted in {*known, *others}:
            raise UsageFault(
                f"{place} 里已有计划 {wanted} 的数据库",
                place=place,
                remedy="在地址中写另一个计划名：…?plan=名称；或换一个库",
            )
    else:
        wanted = _chosen(known, named, place, others=bool(others))
    database = Database(postgresql.engine_of(address, wanted, limits), limits.lock_seconds, wanted)
    if not new:
        _check_version(database, f"{place}?plan={wanted}", older=older)
    return database


def place_of(url: str, plan: str, limits: Limits) -> Database:
    """A plan's place in a server's database, whatever is there, for who restores it.

    Raises UsageFault where the address names another plan.
    """
    address, named = postgresql.split(_address(url))
    if named not in (None, plan):
        raise UsageFault(
            f"备份是计划 {plan} 的，地址里写的是 {named}", place="--db", remedy=f"写 …?plan={plan}"
        )
    engine = postgresql.engine_of(address, postgresql.require_name(plan), limits)
    return Database(engine, limits.lock_seconds, plan)


def server_of(url: str) -> Database:
    """The server's database without any plan's tables, for who sets it up. Raises UsageFault."""
    address, _ = postgresql.split(_address(url))
    if address.get_backend_name() != "postgresql":
        raise UsageFault(
            "这条命令只用于 PostgreSQL", place="--db", remedy="--db postgresql://账号@主机/库名"
        )
    return Database(postgresql.engine_of(address, None, Limits()))


def plans_of(url: str) -> tuple[str, ...]:
    """The plans that this account has to do with in a server's database."""
    address, _ = postgresql.split(_address(url))
    return _plans(address, Limits())[0]


def _plans(address: URL, limits: Limits) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The plans in a database: this account's, and the others'."""
    database = Database(postgresql.engine_of(address, None, limits), limits.lock_seconds)
    try:
        with database.reading() as connection:
            return postgresql.plans(connection)
    finally:
        database.close()


def _chosen(known: tuple[str, ...], named: str | None, place: str, *, others: bool) -> str:
    if named is not None and named in known:
        return named
    if named is None and len(known) == 1:
        return known[0]
    if named is not None or (others and not known):
        raise NotPermitted(
            f"{place} 里没有{f'计划 {named}' if named else '计划'}，或这个账号不在它的人员名册中",
            place=place,
            remedy="核对 --db 的地址和账号；由县清洁取暖办用 xianli officer add 登记",
        )
    if not known:
        raise BadFile(
            f"{place} 里没有先立的数据库",
            place=place,
            remedy="核对 --db 的地址；新的库由管理员 db setup，再 init",
            code="no_database",
        )
    raise UsageFault(
        f"{place} 里有几个计划：{'、'.join(known)}",
        place="--db",
        remedy=f"在地址中写明：…?plan={known[0]}",
        code="which_plan",
    )


def file_of(url: str) -> Path:
    """The file that a database's address names. Raises UsageFault for a server's."""
    return _file(_address(url))


def is_server(url: str) -> bool:
    """Whether an address names a server's database, not a file."""
    return _address(url).get_backend_name() == "postgresql"


def each_plan(url: str) -> list[str]:
    """The address as it is, or, of a server's database without `?plan=`, one for each plan."""
    address = _address(url)
    if address.get_backend_name() != "postgresql" or "plan" in address.query:
        return [url]
    named = (address.update_query_dict({"plan": plan}) for plan in plans_of(url))
    return [one.render_as_string(hide_password=False) for one in named]


def shown(url: str) -> str:
    """The address without a password, for people."""
    address = _address(url)
    if address.get_backend_name() == "postgresql":
        return address.render_as_string(hide_password=True)
    return str(_file(address))


def _address(url: str) -> URL:
    if "://" not in url:
        return URL.create("sqlite", database=url)
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UsageFault(f"数据库地址“{url}”写得不对", place="--db") from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql") or not parsed.database:
        raise UsageFault(
            f"不支持 {parsed.get_backend_name()}，或地址里没有写数据库名",
            place="--db",
            remedy="写作 --db xianli.db，或 --db postgresql://账号@主机/库名",
        )
    return parsed


def _file(address: URL) -> Path:
    if address.get_backend_name() != "sqlite" or not address.database:
        raise UsageFault(
            "这条命令只用于 SQLite 文件",
            place="--db",
            remedy="PostgreSQL 的备份和恢复用它自己的工具；见 docs/operations.md",
        )
    return Path(address.database)


def _check_version(database: Database, place: str, *, older: bool) -> None:
    with database.reading() as connection:
        tables = inspect(connection).get_table_names()
        if "alembic_version" not in tables or "journal" not in tables:
            raise BadFile(
                f"{place} 不是先立的数据库", place=place, remedy="用 --db 指明正确的数据库"
            )
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found is None:
        raise BadFile(
            f"{place} 的恢复没有做完",
            place=place,
            remedy="再恢复一次：xianli db restore FILE",
            code="unfinished",
        )
    version = str(found)
    if version < HEAD and not older:
        raise BadFile(
            f"{place} 是旧版本（{version}）的数据库，本程序用 {HEAD}；没有改动它",
            place=place,
            remedy=f"升级：xianli --db {place} db upgrade（先自动备份）；或用原来的程序版本打开",
            code="older_database",
        )
    if version > HEAD:
        raise newer(version, place)


def newer(version: str, place: str) -> BadFile:
    """What who comes with a newer version is told."""
    return BadFile(
        f"{place} 是新版本（{version}）的数据库，本程序只认识到 {HEAD}；没有改动它",
        place=place,
        remedy="换用新版本的程序；数据库不能降级",
        code="newer_database",
    )
