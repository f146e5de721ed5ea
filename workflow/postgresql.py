"""PostgreSQL, the shared database: connecting, and what a transaction begins with."""

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from states.errors import UsageFault
from workflow.operation import Limits

# One writer at a time, as on SQLite: the journal's numbers have no gaps.
WRITERS = 0x5849414E4C49  # "XIANLI"
LOCAL = ("localhost", "127.0.0.1", "::1")
# What a connection must answer to SHOW after it was set.
SETTINGS = {
    "TimeZone": "UTC",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "search_path": "public, pg_temp",
}


def engine_of(url: URL, limits: Limits) -> Engine:
    """The engine on a server; the server's certificate is checked unless it is this computer.

    Raises UsageFault where the driver is not installed.
    """
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=limits.pool,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": limits.connect_seconds,
                "application_name": "xianli",
                "options": f"-c lock_timeout={limits.lock_seconds}s "
                f"-c statement_timeout={limits.statement_seconds}s "
                "-c idle_in_transaction_session_timeout=600s",
                **encryption(url),
            },
        )
    except ImportError as error:
        raise UsageFault(
            "连接 PostgreSQL 要用 psycopg，这里没有安装",
            place="--db",
            remedy="pip install 'xianli[postgres]'",
        ) from error
    event.listen(engine, "connect", _settings)
    event.listen(engine, "begin", _begin)
    return engine


def encryption(url: URL) -> dict[str, str]:
    """How a connection is secured whose address does not say: another computer proves itself."""
    if "sslmode" in url.query or not url.host or url.host in LOCAL:
        return {}
    return {"sslmode": "verify-full", "sslrootcert": "system"}


def _settings(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for name, wanted in SETTINGS.items():
        cursor.execute(f"SELECT set_config('{name}', '{wanted}', false)")
        cursor.execute(f"SHOW {name}")
        found = cursor.fetchone()
        if found is None or found[0] != wanted:
            raise UsageFault(f"数据库不接受设置 {name} = {wanted}（现为 {found}）", place="--db")
    cursor.close()
    connection.commit()


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("xianli_writes", False):
        # Taken before anything is read, so that what is read is what the one before left.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
