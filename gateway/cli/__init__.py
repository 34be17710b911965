"""The command line: the only room that prints; exit codes 0 done, 1 faults found, 2 usage, 3 not reached, 4 refused."""

from gateway.cli.commands import main

__all__ = ["main"]
