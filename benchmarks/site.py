"""What the site costs on a full county, beside the floor: its pages' bare Jinja2 render.

`python benchmarks/site.py DATABASE` prints one JSON line; the database is that of `xianli demo`
(3,966 households). It is only read. `whole` is the command as a user starts it, its two processes,
imports and files included; its processor time tells on a busy machine what the clock would on a
quiet one. The floor is `benchmarks/dossiers.py`'s for the page: the render of values gathered
already, measured on some households and multiplied.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dossiers import processor, some

from notifications import dossier as worded


def main() -> None:
    """Prints the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path)
    file = parser.parse_args().database
    every, found = some(file)
    files = [(one.file, one.head) for one in found]
    worded.page(*files[0])  # the template is read and compiled once
    floor = processor(lambda: [worded.page(one, head) for one, head in files])
    floor_of_all = floor / len(found) * every
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "cli", "--json", "--db", str(file), "report", "site"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        done = subprocess.run([*command, f"{folder}/web"], check=True, capture_output=True)
        whole = time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = json.loads(done.stdout)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    line = {
        "report": "site",
        "pages": answer["pages"],
        "mb": round(answer["bytes"] / 1e6),
        "whole_s": round(whole, 1),
        "whole_processor_s": round(used, 1),
        "floor_processor_s": round(floor_of_all, 1),
        "ratio": round(used / floor_of_all, 2),
        # Of the largest process; there are three.
        "peak_mb": after.ru_maxrss // 1024,
    }
    print(json.dumps(line), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
