"""PostgreSQL, the shared database: connecting, and what a transaction begins with.

Each plan has a schema of its own, named after it: its tables, its journal, its officers. Who may do
what there is in `access`.
"""

import re

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from states.errors import UsageFault
from workflow.operation import Limits

# One writer of a plan at a time, as on SQLite: the journal's numbers have no gaps.
WRITERS = 0x5849414E  # "XIAN"
# Held by the session of the scheduler that leads, in each plan's schema.
LEADERS = 0x4C454144  # "LEAD"
LOCAL = ("localhost", "127.0.0.1", "::1")
_TRY_LOCK = text("SELECT pg_try_advisory_lock(:number, hashtext(current_schema()))")
# What a connection must answer to SHOW after it was set.
SETTINGS = {
    "TimeZone": "UTC",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
}
_PLAN = re.compile(r"[a-z][a-z0-9_-]{0,62}")
# The schemas that hold a plan, as far as this account may look into them.
_PLANS = """SELECT n.nspname FROM pg_namespace n
WHERE has_schema_privilege(n.oid, 'USAGE')
  AND EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'journal')
  AND EXISTS (SELECT 1 FROM pg_class c
      WHERE c.relnamespace = n.oid AND c.relname = 'alembic_version')
ORDER BY n.nspname"""


def split(url: URL) -> tuple[URL, str | None]:
    """The address without the plan it names, and the plan: `postgresql://host/city?plan=NAME`."""
    plan = url.query.get("plan")
    return url.difference_update_query(["plan"]), plan if isinstance(plan, str) else None


def require_name(plan: str) -> str:
    """The plan's name if a schema can be called so. Raises UsageFault otherwise."""
    if not _PLAN.fullmatch(plan) or plan.startswith("pg_") or plan == "public":
        raise UsageFault(
            f"“{plan}”不能用作数据库里的计划名",
            place="--db",
            remedy="用小写字母开头的字母、数字、- 和 _；或在地址中写明：…/库名?plan=wutai-2023",
        )
    return plan


def engine_of(url: URL, plan: str | None, limits: Limits) -> Engine:
    """The engine on a server; the server's certificate is checked unless it is this computer.

    Without a plan it looks at no plan's tables. Raises UsageFault where the driver is not
    installed.
    """
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=limits.pool,
            max_overflow=0,
            pool_pre_ping=True,
            # No error is to tell a household's data or a login's password.
            hide_parameters=True,
            connect_args={
                "connect_timeout": limits.connect_seconds,
                "application_name": "xianli",
                "options": f"-c lock_timeout={limits.lock_seconds}s "
                f"-c statement_timeout={limits.statement_seconds}s "
                "-c idle_in_transaction_session_timeout=600s "
                f"-c search_path={_path(plan)}",
                **encryption(url),
            },
        )
    except ImportError as error:
        raise UsageFault(
            "连接 PostgreSQL 要用 psycopg，这里没有安装",
            place="--db",
            remedy="pip install 'xianli[postgres]'",
        ) from error
    lock = f"SELECT pg_advisory_xact_lock({WRITERS}, hashtext('{plan or ''}'))"

    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("xianli_writes", False):
            # Taken before anything is read, so that what is read is what the one before left.
            connection.exec_driver_sql(lock)
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def settings(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        _settings(connection, {**SETTINGS, "search_path": _path(plan)})

    event.listen(engine, "connect", settings)
    event.listen(engine, "begin", begin)
    return engine


def _path(plan: str | None) -> str:
    """Where names are looked up: in the plan's schema, and in temporary tables never first."""
    return f'"{plan}",pg_temp' if plan else "pg_catalog,pg_temp"


def encryption(url: URL) -> dict[str, str]:
    """How a connection is secured whose address does not say: another computer proves itself."""
    if "sslmode" in url.query or not url.host or url.host in LOCAL:
        return {}
    if "sslrootcert" in url.query:
        return {"sslmode": "verify-full"}
    return {"sslmode": "verify-full", "sslrootcert": "system"}


def _settings(connection: DBAPIConnection, settings: dict[str, str]) -> None:
    cursor = connection.cursor()
    for name, wanted in settings.items():
        cursor.execute(f"SELECT set_config('{name}', '{wanted}', false)")
        cursor.execute(f"SHOW {name}")
        found = cursor.fetchone()
        if found is None or found[0] != wanted:
            raise UsageFault(f"数据库不接受设置 {name} = {wanted}（现为 {found}）", place="--db")
    cursor.close()
    connection.commit()


def plans(connection: Connection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The plans in this database: those that the account has to do with, and the others.

    Who administers the database has to do with all, an officer with those in whose register he
    stands. A schema that was renamed or cannot answer keeps nobody from his own.
    """
    mine: list[str] = []
    others: list[str] = []
    for plan in connection.execute(text(_PLANS)).scalars().all():
        (mine if _answers_that_it_concerns(connection, plan) else others).append(plan)
    return tuple(mine), tuple(others)


def _answers_that_it_concerns(connection: Connection, plan: str) -> bool:
    try:
        with connection.begin_nested():
            return _concerns(connection, plan)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return False


# The schema in which a plan's function looks names up: another one once the schema was renamed.
_LOOKS_IN = text("""SELECT
    btrim(split_part(substr(setting, length('search_path=') + 1), ',', 1), ' "')
FROM pg_proc, unnest(proconfig) AS setting
WHERE oid = to_regprocedure(:scope) AND starts_with(setting, 'search_path=')""")


def _concerns(connection: Connection, plan: str) -> bool:
    looks_in = connection.execute(_LOOKS_IN, {"scope": f'"{plan}".my_scope()'}).scalar()
    if looks_in is not None and looks_in != plan:
        return False
    if looks_in is not None:
        asked = f"coalesce(\"{plan}\".my_scope(), '') <> '' OR \"{plan}\".administers()"
    else:
        # An earlier version's, or one whose restoring was broken off: the administrator's alone.
        asked = "pg_has_role(session_user, 'xianli_owner', 'MEMBER')"
    return bool(connection.exec_driver_sql(f"SELECT {asked}").scalar_one())


def session_login(connection: Connection) -> str:
    """Who is connected: the login that the server has checked."""
    return str(connection.exec_driver_sql("SELECT session_user").scalar_one())


class SessionLock:
    """A lock that a connection of its own holds: it is free the moment its holder dies.

    The connection is none of the pool's, which would have one less for those who wait for it.
    """

    def __init__(self, engine: Engine, number: int) -> None:
        self._engine, self._number = engine, number
        self._connection: Connection | None = None
        self.held = False

    def hold(self) -> bool:
        """Takes the lock if nobody has it; whether it is ours now.

        Neither waits nor raises: where there is no server, who writes next is told so.
        """
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
                self._connection.detach()
            with self._connection.begin():
                # Asked of a connection that is gone, the server has let go of it: it is anybody's.
                query = text("SELECT 1") if self.held else _TRY_LOCK
                found = self._connection.execute(query, {"number": self._number}).scalar_one()
            self.held = self.held or found is True
        except DBAPIError:
            self.release()
        return self.held

    def release(self) -> None:
        """Ends the connection and with it the lock."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self.held = None, False
