"""The mappings of a site held against a product's OpenAPI file, or against what the products answered."""

from __future__ import annotations

from pathlib import Path

from gateway.app.load import Site
from gateway.core.errors import Fault
from gateway.mapping import load_mapping
from gateway.mapping.openapi import check_mapping, read_openapi
from gateway.mapping.openapi.answered import read_saved


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


def saved_findings(site: Site, file: Path) -> tuple[list[Fault], list[Fault]]:
    """Faults and warnings of each source's mapping against its saved answers; one that was not asked is a warning.

    Raises:
        ConfigError: the file cannot be read or is no saved discovery.
    """
    saved = read_saved(file)
    faults: list[Fault] = []
    warnings: list[Fault] = []
    for i, source in enumerate(site.config.sources):
        answered = saved.get(source.name)
        if answered is None:
            text = f"{file.name} has no answers of it"
            warnings.append(site.loaded.document.fault(("sources", i, "name"), text))
            continue
        mapping, _ = load_mapping(site.loaded.path(source.mapping).resolve(), *site.orders)
        if mapping is not None:
            found = check_mapping(mapping, answered)
            faults += [fault for fault in found[0] if fault not in faults]
            warnings += [fault for fault in found[1] if fault not in warnings]
    return faults, warnings
