"""How long a journal takes to verify, beside the floor: reading its rows and hashing their bytes.

`python benchmarks/audit_verify.py --events 100000` prints one JSON line: `audit verify` on the
database in a process of its own, `workflow/verify.py` on the bundle by itself, and the floor, one
`SELECT` of every body by the sqlite3 module and its SHA-256, in the same run. The journal is the
demo's year, played through the real engine, and then visits to its households, week after week,
until there are enough; with `--signed` each of these visits bears its officer's signature, and the
floor checks those too, one Ed25519 verification each. The ratios are of CPU time.
"""

import argparse
import hashlib
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from measure import MIB, apart, peak

from states import evidence as keys
from states.vocabulary import FactKind
from workflow import audit, db, demo, engine, journal, setup, signing, verify
from workflow.db import Database
from workflow.engine import Order, Receipt

SEED = 16
BEGINS = date(2024, 6, 3)
BATCH = 500
PASSPHRASE = "benchmark"


def make(events: int, folder: Path, *, signed: bool) -> None:
    """The database and its bundle; it verifies, or the measurement says nothing."""
    demo.run(folder / "demo", SEED, lambda done, total: None)
    (folder / "demo" / "xianli.db").rename(folder / "county.db")
    database = db.connect(str(folder / "county.db"))
    officers = key_for_each(database, folder) if signed else {}
    visit(database, events, officers)
    with database.reading() as connection:
        audit.write_bundle(connection, folder / "bundle.jsonl")
    database.close()


def key_for_each(database: Database, folder: Path) -> dict[str, signing.FileKey]:
    """A key for each unit officer, registered by the county office."""
    found = {}
    with database.reading() as connection:
        query = "SELECT login FROM officer WHERE role = 'unit_officer' AND active"
        logins = [str(login) for (login,) in connection.exec_driver_sql(query)]
    for login in logins:
        file = folder / login
        signing.new_key(file, PASSPHRASE, login)
        public, now = Path(f"{file}.pub"), journal.noon(BEGINS)
        setup.add_key(database, login, public, None, actor=demo.COUNTY, now=now)
        found[login] = signing.file_key(file, lambda name: PASSPHRASE)
    return found


def visit(database: Database, events: int, officers: dict[str, signing.FileKey]) -> None:
    """Visits to every open household by its unit's officer, day after day, until it is enough."""
    with database.reading() as connection:
        left = events - journal.size(connection)
        query = "SELECT login, unit FROM officer WHERE role = 'unit_officer' AND active"
        of_unit = {unit: str(login) for login, unit in connection.exec_driver_sql(query)}
        query = "SELECT code, unit FROM household_case WHERE state <> 'closed' ORDER BY code"
        households = [(str(code), unit) for code, unit in connection.exec_driver_sql(query)]
    day = BEGINS
    while left > 0:
        for login, codes in batches(households, of_unit):
            orders = [
                Order(code, FactKind.VISIT, keys.parse(FactKind.VISIT, [("temperature", "20")]))
                for code in codes[:left]
            ]
            database.unlock = partial(officers.get, login)
            answers = engine.carry_out(database, orders, login, journal.noon(day))
            if not all(isinstance(answer, Receipt) for answer in answers):
                raise SystemExit(f"a visit was refused: {answers}")
            left -= len(orders)
        day += timedelta(days=7)


def batches(
    households: list[tuple[str, object]], of_unit: dict[object, str]
) -> Iterator[tuple[str, list[str]]]:
    """The codes by the officer who visits them, not too many at once."""
    mine: dict[str, list[str]] = {}
    for code, unit in households:
        mine.setdefault(of_unit[unit], []).append(code)
    for login, codes in mine.items():
        for start in range(0, len(codes), BATCH):
            yield login, codes[start : start + BATCH]


def floor(file: Path) -> tuple[float, float]:
    """Wall and CPU seconds for reading every body and comparing its SHA-256, at its best of three.

    The file is in the system's cache, as it is for the measurements beside it.
    """
    took = []
    for _ in range(3):
        began, worked = time.perf_counter(), time.process_time()
        with closing(sqlite3.connect(file)) as connection:
            for body, digest in connection.execute("SELECT body, hash FROM journal ORDER BY seq"):
                if hashlib.sha256(body).hexdigest() != digest:
                    raise SystemExit("the journal is broken")
        took.append((time.perf_counter() - began, time.process_time() - worked))
    return min(took)


def signatures(file: Path) -> float:
    """CPU seconds for one Ed25519 verification of each signature, all made ready before."""
    with closing(sqlite3.connect(file)) as connection:
        query = "SELECT body, signature FROM journal WHERE signature IS NOT NULL"
        rows = connection.execute(query).fetchall()
    ready = []
    for body, written in rows:
        found = verify.read_signature(written)
        assert found is not None
        line, space, raw = found
        ready.append((raw, signing.framed(body, space), signing.public_key(line, "")))
    worked = time.process_time()
    if not all(signing.verifies(*one) for one in ready):
        raise SystemExit("a signature is forged")
    return time.process_time() - worked


def in_process(folder: Path) -> dict[str, float]:
    """`audit verify`, in a process that has done nothing else."""
    database = db.connect(str(folder / "county.db"))
    began, worked = time.perf_counter(), time.process_time()
    with database.reading() as connection:
        found = audit.verification(connection)
    took, cpu = time.perf_counter() - began, time.process_time() - worked
    if not found.verified:
        raise SystemExit(f"does not verify: {found.findings[:3]}")
    return {
        "events": found.events,
        "cases": found.cases,
        "audit_seconds": round(took, 2),
        "audit_cpu_seconds": round(cpu, 2),
        "audit_peak_mib": peak(resource.RUSAGE_SELF),
    }


def alone(folder: Path) -> dict[str, float]:
    """`python verify.py BUNDLE`, the only child of this process."""
    command = [sys.executable, verify.__file__, str(folder / "bundle.jsonl"), "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=False)
    took = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not json.loads(done.stdout)["verified"]:
        raise SystemExit(f"the bundle does not verify: {done.stdout[:1000]!r}")
    return {
        "bundle_mib": (folder / "bundle.jsonl").stat().st_size // MIB,
        "bundle_seconds": round(took, 2),
        "bundle_cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "bundle_peak_mib": peak(resource.RUSAGE_CHILDREN),
    }


def measure(folder: Path, *, signed: bool) -> dict[str, object]:
    """Floor, database and bundle, each in a process of its own."""
    least, least_cpu = apart(floor, folder / "county.db")
    checked = apart(signatures, folder / "county.db")
    audited = apart(in_process, folder)
    judged = apart(alone, folder)
    return {
        "name": "audit_verify",
        "signed": signed,
        **audited,
        **judged,
        "floor_seconds": round(least, 3),
        "floor_cpu_seconds": round(least_cpu, 3),
        "floor_signatures_cpu_seconds": round(checked, 3),
        "audit_ratio": round(audited["audit_cpu_seconds"] / (least_cpu + checked), 1),
        "bundle_ratio": round(judged["bundle_cpu_seconds"] / (least_cpu + checked), 1),
    }


def main() -> None:
    """Makes and measures one journal; one that was made with `--keep` is not made again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--signed", action="store_true")
    parser.add_argument("--keep", type=Path, help="a directory for database and bundle")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        if not (folder / "bundle.jsonl").exists():
            make(asked.events, folder, signed=asked.signed)
        found = measure(folder, signed=asked.signed)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
