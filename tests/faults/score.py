"""What the rounds of the crash loop came to, and the table of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Score:
    """What the rounds came to; `findings` are sentences, each of them a fault."""

    rounds: int = 0
    kills: int = 0
    accepted: int = 0
    refused: int = 0
    unanswered: int = 0
    imports: int = 0
    faulted: int = 0
    lost: int = 0
    moved: int = 0
    wrong_zone: int = 0
    broken: int = 0
    unrecorded: int = 0
    failed_starts: int = 0
    puts: int = 0
    in_force_s: list[float] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def found(self, what: str, text: str) -> None:
        """Counts a fault under its name."""
        setattr(self, what, getattr(self, what) + 1)
        self.findings.append(f"round {self.rounds}: {text}")


def report(score: Score, wall_s: float) -> str:
    """The table."""
    waits = sorted(score.in_force_s) or [0.0]
    rows = {
        "rounds": score.rounds,
        "kills": score.kills,
        "writes and releases answered": score.accepted,
        "refused": score.refused,
        "unanswered": score.unanswered,
        "imports (every id changed)": score.imports,
        "PUTs received": score.puts,
        "rounds with a persistence fault": score.faulted,
        "in force after a restart, median s": f"{waits[len(waits) // 2]:.1f}",
        "  longest s": f"{waits[-1]:.1f}",
        "accepted commands lost": score.lost,
        "accepted writes without a record": score.unrecorded,
        "addresses moved": score.moved,
        "requests to a wrong zone": score.wrong_zone,
        "broken evidence": score.broken,
        "failed starts": score.failed_starts,
        "wall time s": f"{wall_s:.0f}",
    }
    return "\n".join([*(f"{name:36}{value:>8}" for name, value in rows.items()), *score.findings])
