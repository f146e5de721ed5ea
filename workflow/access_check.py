"""Whether a plan's rows on a server are open to those who may see them, and to nobody else."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from workflow import access, triggers
from workflow.models import metadata

_RULES = f"""SELECT tablename, policyname, cmd, roles::text[] AS roles, permissive,
    {access.CONDITIONS} AS conditions,
    split_part(obj_description(p.oid, 'pg_policy'), ' ', 1) AS mark,
    split_part(obj_description(p.oid, 'pg_policy'), ' ', 2) AS told
FROM pg_policies JOIN pg_policy p ON p.polname = policyname
    AND p.polrelid = format('%I.%I', schemaname, tablename)::regclass
WHERE schemaname = current_schema()"""
_FUNCTIONS = f"""SELECT proname, prosrc, prosecdef, pg_get_userbyid(proowner) AS owner,
    proconfig = {triggers.CONFINED} AS confined
FROM pg_proc
WHERE pronamespace = current_schema()::regnamespace AND prorettype <> 'trigger'::regtype"""
_VOUCHED = "SELECT count(*) FROM pg_proc WHERE proleakproof"
_TABLES = """SELECT relname, relrowsecurity, pg_get_userbyid(relowner) AS owner
FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"""
# Rights that were given to everybody, on the schema's tables or their columns.
_OPEN = """SELECT DISTINCT c.relname FROM pg_class c
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid,
    LATERAL aclexplode(coalesce(a.attacl, c.relacl)) AS given
WHERE c.relnamespace = current_schema()::regnamespace AND given.grantee = 0"""
_OURS = {
    *(access.OWNER, access.ENGINE, access.REGISTRAR),
    *(access.OFFICER, access.AUDITOR, access.SERVICE, access.PERSONAL),
}


def wanted() -> dict[tuple[str, str], str]:
    """The policies by table and name, and what each allows."""
    found = {("officer", "officer_registrar"): "SELECT"}
    for table, verbs in access.POLICIES.items():
        found[table, f"{table}_engine"] = "SELECT"
        found |= {(table, f"{table}_{verb.lower()}"): verb for verb in verbs}
    return found


def faults(connection: Connection) -> Sequence[str]:
    """What is missing, too much or other than this program made it; nothing on a file."""
    if connection.dialect.name == "sqlite":
        return ()
    expected = wanted()
    rules = {(row.tablename, row.policyname): row for row in connection.execute(text(_RULES))}
    told = [f"{table} 缺策略 {name}" for table, name in sorted(expected.keys() - rules.keys())]
    told += [f"{table} 多出策略 {name}" for table, name in sorted(rules.keys() - expected.keys())]
    for key in sorted(expected.keys() & rules.keys()):
        rule = rules[key]
        allows = rule.cmd == expected[key] and rule.permissive == "PERMISSIVE"
        as_made = rule.conditions == rule.told and rule.mark == access.mark(_rows(*key))
        if not allows or not as_made or not set(rule.roles) <= _OURS:
            told.append(f"{key[0]} 的策略 {key[1]} 被改过")
    told += _function_faults(connection)
    vouched = connection.execute(text(_VOUCHED)).scalar_one()
    if vouched:
        told.append(f"{vouched} 个内部函数可用来绕过行级安全逐字试探（超级用户运行 db setup）")
    for row in connection.execute(text(_TABLES)):
        if row.relname in metadata.tables and not row.relrowsecurity:
            told.append(f"{row.relname} 没有启用行级安全")
        if row.owner != access.OWNER:
            told.append(f"{row.relname} 不归 {access.OWNER}")
    told += [f"{name} 对所有账号开放" for name in sorted(connection.execute(text(_OPEN)).scalars())]
    return told


def _rows(table: str, name: str) -> str:
    """Which rows the policy of this name lets through: the engine's and the registrar's all."""
    verb = name.removeprefix(f"{table}_").upper()
    return access.POLICIES[table].get(verb, "true")


def _function_faults(connection: Connection) -> Sequence[str]:
    there = {row.proname: row for row in connection.execute(text(_FUNCTIONS))}
    told = [f"多出函数 {name}" for name in sorted(there.keys() - access.FUNCTIONS.keys())]
    for name, wanted_ in access.FUNCTIONS.items():
        row = there.get(name)
        right = row is not None and (row.prosrc, row.owner) == (wanted_.body, wanted_.owner)
        if row is None or not right or not row.prosecdef or not row.confined:
            told.append(f"函数 {name} 不在或被改过")
    return told
