"""Everything that outlives the process."""

from gateway.store.folder import ADDRESSES, Store

__all__ = ["ADDRESSES", "Store"]
