"""Everything that outlives the process."""

from gateway.store.addresses import Addresses
from gateway.store.folder import ADDRESSES, StateInUse, Store
from gateway.store.journal import SqliteJournal

__all__ = ["ADDRESSES", "Addresses", "SqliteJournal", "StateInUse", "Store"]
