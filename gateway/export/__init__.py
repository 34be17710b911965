"""Pure renderers of the point list."""

from gateway.export.points import POINT_KEYS, point_row

__all__ = ["POINT_KEYS", "point_row"]
