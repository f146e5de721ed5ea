"""What of a server can be looked at from here: settings, encryption, rights, pages, clock, room."""

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, text

from states.errors import CaseError
from states.workdays import local_minute
from workflow import access, access_check, dump
from workflow.health import Check, Health, good, mib
from workflow.models import metadata
from workflow.operation import Server

# What must be on for a confirmed write to survive a power cut.
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_LENIENT = {"off", "local"}
_CLOCK_NOTED, _CLOCK_WRONG = timedelta(seconds=5), timedelta(minutes=1)
_LONG = timedelta(hours=1)
_FEW_LEFT = 10
# Transaction numbers are two thousand million; autovacuum should act at a tenth of that.
_OLD = 1_000_000_000
_LEAST_FREE = 1024 * 1024 * 1024


def looks(
    server: Server, clock: Callable[[], datetime]
) -> Mapping[str, Callable[[Connection], Check]]:
    """What is looked at on a server alone, by name; `clock` is this computer's."""
    return {
        "settings": _settings,
        "encryption": _encryption,
        "collation": _collation,
        "access": _access,
        "integrity": _integrity,
        "server_clock": lambda connection: _clock(connection, clock),
        "room": _room,
        "connections": _connections,
        "transactions": _transactions,
        "programs": lambda connection: _programs(connection, server),
    }


def _show(connection: Connection, name: str) -> str:
    return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())


def _settings(connection: Connection) -> Check:
    version = int(_show(connection, "server_version_num"))
    told = f"PostgreSQL {_show(connection, 'server_version')}"
    durable = {name: _show(connection, name) for name in _DURABLE}
    limits = ("lock_timeout", "statement_timeout", "TimeZone")
    shown = {**durable, **{name: _show(connection, name) for name in limits}}
    told += "，" + "、".join(f"{name}={value}" for name, value in shown.items())
    if version < access.OLDEST:
        wanted = access.OLDEST // 10000
        return Check("settings", Health.FAULT, f"{told}；版本太旧", f"换 {wanted} 或更新的版本")
    lax = [name for name, value in durable.items() if value in _LENIENT]
    if lax:
        message = f"{told}；{'、'.join(lax)} 没有打开，断电会丢失已确认的登记"
        return Check("settings", Health.FAULT, message, "在 postgresql.conf 里打开，再重载")
    if _show(connection, "server_encoding") != "UTF8":
        return Check("settings", Health.FAULT, f"{told}；编码不是 UTF8", "用 UTF8 另建一个库")
    if _show(connection, "password_encryption") != "scram-sha-256":
        remedy = "设 password_encryption = 'scram-sha-256'，各账号重设密码"
        return Check("settings", Health.WARNING, f"{told}；密码不按 SCRAM 保存", remedy)
    if _show(connection, "autovacuum") == "off":
        return Check("settings", Health.WARNING, f"{told}；autovacuum 关着", "打开 autovacuum")
    return good("settings", told)


_HERE = """SELECT inet_client_addr() IS NULL OR inet_client_addr() <<= '127.0.0.0/8'
    OR inet_client_addr() = '::1' AS local, s.ssl, s.version, s.cipher
FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()"""


def _encryption(connection: Connection) -> Check:
    found = connection.execute(text(_HERE)).one()
    if found.local:
        return good("encryption", "服务器在本机，连接不出本机")
    if not found.ssl:
        remedy = "服务器 pg_hba.conf 用 hostssl，地址里去掉 sslmode"
        return Check("encryption", Health.FAULT, "与服务器的连接没有加密", remedy)
    told = f"与服务器的连接用 {found.version}（{found.cipher}）加密"
    if dump.parameters(connection).get("PGSSLMODE") != "verify-full":
        remedy = "地址里去掉 sslmode（默认 verify-full），需要时用 sslrootcert 指明证书"
        return Check("encryption", Health.WARNING, f"{told}，但不核对服务器的证书", remedy)
    return good("encryption", f"{told}，并核对服务器的证书")


_COLLATION = """SELECT datcollate, datcollversion,
    pg_database_collation_actual_version(oid) AS actual
FROM pg_database WHERE datname = current_database()"""


def _collation(connection: Connection) -> Check:
    found = connection.execute(text(_COLLATION)).one()
    if found.datcollversion != found.actual:
        told = f"排序规则 {found.datcollate} 的版本变了（{found.datcollversion} → {found.actual}）"
        remedy = "REINDEX DATABASE，再 ALTER DATABASE … REFRESH COLLATION VERSION"
        return Check("collation", Health.FAULT, f"{told}，索引可能不对", remedy)
    if found.datcollate not in ("C", "POSIX", "C.UTF-8"):
        told = f"排序规则 {found.datcollate}：操作系统升级时可能要重建索引"
        return Check("collation", Health.WARNING, told, "新库用 createdb --locale=C -T template0")
    return good("collation", f"排序规则 {found.datcollate}，不随操作系统变")


def _access(connection: Connection) -> Check:
    """That each table is closed by row, has its policies and no others, and is the owner's."""
    faults = access_check.faults(connection)
    if faults:
        remedy = "报审计人员；由数据库管理员查明后恢复备份"
        return Check("access", Health.FAULT, "；".join(faults), remedy)
    number = len(access_check.wanted())
    return good("access", f"行级安全 {number} 条策略齐全，各表归 {access.OWNER}")


_INDEXES = """SELECT i.indexrelid::regclass::text FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
    WHERE c.relnamespace = current_schema()::regnamespace AND a.amname = 'btree'"""
_AMCHECK = """SELECT quote_ident(n.nspname) FROM pg_extension e
    JOIN pg_namespace n ON n.oid = e.extnamespace JOIN pg_proc p ON p.pronamespace = n.oid
    WHERE e.extname = 'amcheck' AND p.proname = 'bt_index_check' AND p.pronargs = 2
    AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')"""


def _integrity(connection: Connection) -> Check:
    """Every row is read to its end; with amcheck, each index is held against its table too."""
    rows = 0
    for name in metadata.tables:
        # As text, so that what is stored beside the row is read as well.
        read = f'SELECT count(*), sum(length(it::text)) FROM "{name}" it'
        rows += connection.exec_driver_sql(read).one()[0]
    told = f"各表 {rows} 行都读得出来"
    schema = connection.execute(text(_AMCHECK)).scalar()
    if schema is None:
        return good("integrity", f"{told}（没有 amcheck 扩展，索引未查）")
    indexes = connection.execute(text(_INDEXES)).scalars().all()
    check = text(f"SELECT {schema}.bt_index_check(CAST(:index AS regclass), true)")
    for index in indexes:
        connection.execute(check, {"index": index})
    return good("integrity", f"{told}，{len(indexes)} 个索引与表相符")


def _clock(connection: Connection, clock: Callable[[], datetime]) -> Check:
    theirs = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    apart = abs(theirs - clock())
    seconds = f"{apart.total_seconds():.0f}"
    told = f"服务器时间 {local_minute(theirs)}（北京时间），与本机相差 {seconds} 秒"
    if apart > _CLOCK_WRONG:
        return Check("server_clock", Health.FAULT, told, "两边都用 NTP 校时")
    if apart > _CLOCK_NOTED:
        return Check("server_clock", Health.WARNING, told, "两边都用 NTP 校时")
    return good("server_clock", told)


_FOLDER = """SELECT setting FROM pg_settings WHERE name = 'data_directory'"""


def _room(connection: Connection) -> Check:
    size = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
    folder = connection.execute(text(_FOLDER)).scalar()
    local = connection.execute(text(_HERE)).one().local
    if not local or folder is None or not Path(folder).is_dir():
        return good("room", f"数据库 {mib(size)}；服务器的磁盘从这里看不到，请在服务器上看")
    free = shutil.disk_usage(folder).free
    told = f"数据库 {mib(size)}，服务器磁盘剩余 {mib(free)}"
    if free < max(_LEAST_FREE, size):
        return Check("room", Health.WARNING, told, "清理磁盘，或换更大的盘")
    return good("room", told)


_USED = """SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"""


def _connections(connection: Connection) -> Check:
    used = connection.execute(text(_USED)).scalar_one()
    reserved = int(_show(connection, "superuser_reserved_connections"))
    reserved += int(_show(connection, "reserved_connections"))
    left = int(_show(connection, "max_connections")) - reserved - used
    told = f"在用 {used} 个连接，还可再开 {left} 个"
    if left < _FEW_LEFT:
        remedy = "加大 max_connections，或查清谁占着连接"
        return Check("connections", Health.WARNING, told, remedy)
    return good("connections", told)


_OPEN = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND pid <> pg_backend_pid() AND clock_timestamp() - xact_start > :long"""
_AGE = "SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()"
_SLOTS = "SELECT count(*) FROM pg_replication_slots WHERE NOT active"


def _transactions(connection: Connection) -> Check:
    told = []
    if number := connection.execute(text(_OPEN), {"long": _LONG}).scalar_one():
        told.append(f"有 {number} 个事务开了一小时以上")
    if number := connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_xacts").scalar_one():
        told.append(f"有 {number} 个两阶段事务没有了结")
    if number := connection.exec_driver_sql(_SLOTS).scalar_one():
        told.append(f"有 {number} 个复制槽没有人用，日志会占满磁盘")
    if connection.exec_driver_sql(_AGE).scalar_one() > _OLD:
        told.append("事务号快用尽，autovacuum 没有跟上")
    if told:
        remedy = "请服务器管理员查 pg_stat_activity、pg_replication_slots"
        return Check("transactions", Health.WARNING, "；".join(told), remedy)
    return good("transactions", "没有久开不结的事务")


def _programs(connection: Connection, server: Server) -> Check:
    try:
        found = [dump.program(connection, server, name) for name in ("pg_dump", "pg_restore")]
    except CaseError as error:
        return Check("programs", Health.WARNING, f"{error.message}：不能备份", error.remedy)
    return good("programs", f"备份用 {found[0]}")
