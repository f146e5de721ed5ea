"""The database: opening it with settings that are read back, and transactions.

SQLite is the embedded default. Writers take `BEGIN IMMEDIATE`, so the second of two waits for the
first and then sees what it did.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from states.errors import UsageFault
from workflow.errors import BadFile, Conflict, JournalBroken
from workflow.signing import Signer

HEAD = "0003"
BUSY_SECONDS = 30
# What a connection must answer to each PRAGMA after it was set (design, section 7).
PRAGMAS = {
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", 2),
    "foreign_keys": ("ON", 1),
    "recursive_triggers": ("ON", 1),
    "trusted_schema": ("OFF", 0),
}


class Database:
    """An open database; `transaction` writes, `reading` sees one unchanging state.

    `unlock` gives what the events of a transaction are signed with (`workflow.keyring`). It is
    asked before the lock is taken: a person who types a passphrase keeps nobody waiting.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.unlock: Callable[[], Signer | None] = lambda: None

    @property
    def file(self) -> Path:
        """Where it lies."""
        return Path(str(self.engine.url.database))

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction: all of it or nothing. Raises Conflict when it waited in vain."""
        signer = self.unlock()
        with _errors_for_people(), self.engine.connect() as connection:
            connection = connection.execution_options(
                xianli_begin="BEGIN IMMEDIATE", xianli_signer=signer
            )
            with connection.begin():
                yield connection

    @contextmanager
    def rehearsal(self) -> Iterator[Connection]:
        """A write transaction that is always taken back, so that nothing of it is signed."""
        with _errors_for_people(), self.engine.connect() as connection:
            connection = connection.execution_options(
                xianli_begin="BEGIN IMMEDIATE", xianli_rehearsal=True
            )
            with connection.begin() as begun:
                yield connection
                begun.rollback()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction that sees one state of the database."""
        with _errors_for_people(), self.engine.connect() as connection, connection.begin():
            yield connection

    def discard(self) -> None:
        """Takes away a database whose making failed, so that it can be tried again."""
        name = self.engine.url.database
        self.close()
        if name:
            for suffix in ("", "-wal", "-shm"):
                Path(name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Closes every connection, so that the file can be copied or moved."""
        self.engine.dispose()


@contextmanager
def _errors_for_people() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        told = str(error.orig)
        if "locked" in told or "busy" in told:
            raise Conflict(
                f"数据库忙：另有人正在写入，等了 {BUSY_SECONDS} 秒仍未轮到",
                remedy="稍后再试；没有写入任何内容",
            ) from error
        if "Could not decode to UTF-8" in told:
            raise BadFile(
                f"数据库中有文字读不出来，已损坏：{told}",
                remedy="用最近的备份恢复；没有写入任何内容",
            ) from error
        if "readonly" in told or "disk" in told or "unable to open" in told:
            raise BadFile(
                f"数据库写不进去：{told}", remedy="检查目录权限和磁盘空间；没有写入任何内容"
            ) from error
        raise
    except DBAPIError as error:
        if "xianli:" in str(error.orig):
            raise JournalBroken(
                f"数据库拒绝写入，与日志对不上：{error.orig}",
                remedy="运行 xianli audit verify 查看问题；没有写入任何内容",
            ) from error
        if "not a database" in str(error.orig) or "malformed" in str(error.orig):
            raise BadFile(
                f"数据库文件已损坏或不是数据库：{error.orig}", remedy="用最近的备份恢复"
            ) from error
        raise


def connect(url: str, *, new: bool = False, older: bool = False) -> Database:
    """The database at this URL or file name; `new` makes the file, otherwise it must exist.

    `older` takes one of an earlier version too, for who brings it up to date. Raises UsageFault
    when it is not there (or, for `new`, is), BadFile when it is no database of ours or of another
    version.
    """
    target = file_of(url)
    if new and target.exists():
        raise UsageFault(f"{target} 已存在", place=str(target), remedy="换一个文件名，或先移走它")
    if not new and not target.exists():
        raise UsageFault(
            f"没有数据库 {target}",
            place=str(target),
            remedy="先建库：xianli init …；或用 --db 指明数据库",
            code="no_database",
        )
    if new and not target.parent.is_dir():
        raise UsageFault(f"没有目录 {target.parent}", place=str(target), remedy="先建好目录")
    engine = create_engine(
        f"sqlite:///{target}",
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
    )
    database = Database(engine)
    if not new:
        # Before any setting is made: a file that is not ours is not to be touched.
        _check_version(database, target, older=older)
        database.close()
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return database


def file_of(url: str) -> Path:
    """The file that a database's address names. Raises UsageFault."""
    if "://" not in url:
        return Path(url)
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UsageFault(f"数据库地址“{url}”写得不对", place="--db") from error
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise UsageFault(
            f"这一版只支持 SQLite 文件，不支持 {parsed.get_backend_name()}",
            place="--db",
            remedy="写作 --db sqlite:///xianli.db",
        )
    return Path(parsed.database)


def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for name, (wanted, answer) in PRAGMAS.items():
        cursor.execute(f"PRAGMA {name} = {wanted}")
        cursor.execute(f"PRAGMA {name}")
        found = cursor.fetchone()
        if found is None or found[0] != answer:
            raise BadFile(f"数据库不接受设置 {name} = {wanted}（现为 {found}）")
    cursor.close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(str(options.get("xianli_begin", "BEGIN")))


def _check_version(database: Database, target: Path, *, older: bool) -> None:
    with database.reading() as connection:
        tables = set(
            connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'table'")
            ).scalars()
        )
        if "alembic_version" not in tables or "journal" not in tables:
            raise BadFile(
                f"{target} 不是先立的数据库", place=str(target), remedy="用 --db 指明正确的文件"
            )
        version = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())
    if version < HEAD and not older:
        raise BadFile(
            f"{target} 是旧版本（{version}）的数据库，本程序用 {HEAD}；没有改动它",
            place=str(target),
            remedy=f"升级：xianli --db {target} db upgrade（先自动备份）；或用原来的程序版本打开",
            code="older_database",
        )
    if version > HEAD:
        raise BadFile(
            f"{target} 是新版本（{version}）的数据库，本程序只认识到 {HEAD}；没有改动它",
            place=str(target),
            remedy="换用新版本的程序；数据库不能降级",
            code="newer_database",
        )
