"""The mappings of a site held against a product's OpenAPI file."""

from __future__ import annotations

from pathlib import Path

from gateway.app.load import Site
from gateway.core.errors import Fault
from gateway.mapping import load_mapping
from gateway.mapping.openapi import check_mapping, read_openapi


def openapi_findings(site: Site, file: Path) -> tuple[list[Fault], list[Fault]]:
    """Faults and warnings of the mappings of the product the file is of.

    Raises:
        ConfigError: the file cannot be read or holds no OpenAPI document.
    """
    api = read_openapi(file)
    faults: list[Fault] = []
    warnings: list[Fault] = []
    sources = [source for source in site.config.sources if source.kind == api.product]
    if not sources:
        text = "describes no product of this configuration" if api.product else "has no path of EVCE or Bender"
        return [Fault(api.file, 0, 0, "", text)], []
    for path in dict.fromkeys(site.loaded.path(source.mapping).resolve() for source in sources):
        mapping, _ = load_mapping(path, *site.orders)
        if mapping is not None:
            found = check_mapping(mapping, api)
            faults += found[0]
            warnings += found[1]
    return faults, warnings
