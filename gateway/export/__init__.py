"""Pure renderers of a map: register list, EDE, PICS, point list."""

from gateway.export.documents import FORMATS, MEDIA, Document, What, documents
from gateway.export.points import POINT_KEYS, point_row
from gateway.export.register_map import kind_table
from gateway.export.spec import DeviceFacts, MapHead, MapObject, MapPoint, MapSpec

__all__ = [
    "FORMATS",
    "MEDIA",
    "POINT_KEYS",
    "DeviceFacts",
    "Document",
    "MapHead",
    "MapObject",
    "MapPoint",
    "MapSpec",
    "What",
    "documents",
    "kind_table",
    "point_row",
]
