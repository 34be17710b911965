"""Exit codes of every command (DESIGN 6.2)."""

DONE, FAULTS, USAGE, NOT_REACHED, REFUSED = range(5)
