"""mappings/*.yaml to point specs: no field name of any product stands in Python."""

from gateway.mapping.load import LoadedMapping, load_mapping, mapping_files
from gateway.mapping.models import MappingFile
from gateway.mapping.schema import mapping_schema

__all__ = ["LoadedMapping", "MappingFile", "load_mapping", "mapping_files", "mapping_schema"]
