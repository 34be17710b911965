"""Writes requirements.txt beside wheels: each with its exact version and SHA-256, for `pip install --require-hashes`.

Usage: python wheelhouse.py FOLDER
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

HEAD = """\
# pip install --no-index --find-links . --require-hashes -r requirements.txt
# Exactly these files and no network: what was tested is what is installed.
"""


def main(folder: Path) -> int:
    """Writes the file; 1 when there is no wheel."""
    lines = []
    for wheel in sorted(folder.glob("*.whl")):
        name, version, *_tags = wheel.name.split("-")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines.append(f"{name.replace('_', '-')}=={version} --hash=sha256:{digest}\n")
    if not lines:
        sys.stderr.write(f"{folder}: no wheels here\n")
        return 1
    (folder / "requirements.txt").write_text(HEAD + "".join(lines), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
