"""What a product's JSON looks like: shapes of answers and of an OpenAPI file, and a mapping held against them.

Pure: nothing here asks a product, and only `read.py` opens a file.
"""

from gateway.mapping.openapi.answers import shape_of
from gateway.mapping.openapi.api import Api
from gateway.mapping.openapi.check import check_mapping
from gateway.mapping.openapi.endpoints import ENDPOINTS, Endpoint
from gateway.mapping.openapi.propose import Proposal, propose
from gateway.mapping.openapi.read import read_openapi
from gateway.mapping.openapi.rows import Row, rows_of
from gateway.mapping.openapi.secrets import HIDDEN, hide
from gateway.mapping.openapi.shape import Shape

__all__ = [
    "ENDPOINTS",
    "HIDDEN",
    "Api",
    "Endpoint",
    "Proposal",
    "Row",
    "Shape",
    "check_mapping",
    "hide",
    "propose",
    "read_openapi",
    "rows_of",
    "shape_of",
]
