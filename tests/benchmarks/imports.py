"""How much of a start is Python importing modules, and which packages.

    python -m tests.benchmarks.imports

prints the time of importing what `run` needs (without the interpreter's own start; 5 runs), and the time by
top-level package from `-X importtime` (one run, about twice as slow as without the option).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter

from tests.benchmarks.rig import REPO, BrokenError, Row, show

STATEMENT = "import gateway.cli.commands, gateway.app.daemon"
REPEATS = 5
SHOWN = 10


def import_rows() -> list[Row]:
    """Seconds of the import beyond an empty interpreter."""
    empty = min(_timed("pass") for _ in range(REPEATS))
    return [Row("  of it Python imports", tuple(_timed(STATEMENT) - empty for _ in range(REPEATS)), "s")]


def package_rows() -> list[Row]:
    """Milliseconds by top-level package, each module's own time only."""
    command = [sys.executable, "-X", "importtime", "-c", STATEMENT]
    lines = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True).stderr.splitlines()
    packages: Counter[str] = Counter()
    for line in lines:
        own, _, rest = line.removeprefix("import time:").partition("|")
        if own.strip().isdigit():
            packages[rest.rpartition("|")[2].strip().partition(".")[0]] += int(own)
    top = [Row(f"import {name}", (own / 1000,), "ms") for name, own in packages.most_common(SHOWN)]
    return [*top, Row("import of everything, with -X importtime", (packages.total() / 1000,), "ms")]


def _timed(statement: str) -> float:
    begun = time.perf_counter()
    command = [sys.executable, "-c", f"{statement}; import os; os._exit(0)"]  # tearing the modules down is not asked
    if subprocess.run(command, cwd=REPO, check=False).returncode:
        raise BrokenError(f"{statement!r} fails")
    return time.perf_counter() - begun


def main() -> int:
    """Prints the table; 1 when the import fails."""
    try:
        show("imports", [*import_rows(), *package_rows()])
    except (BrokenError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
