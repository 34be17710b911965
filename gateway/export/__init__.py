"""Pure renderers of the point list."""

from gateway.export.points import POINT_KEYS, point_row
from gateway.export.register_map import kind_table

__all__ = ["POINT_KEYS", "kind_table", "point_row"]
