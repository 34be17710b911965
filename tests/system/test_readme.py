"""README's default map is the shipped mappings', row by row."""

from __future__ import annotations

import re

from gateway.addressing import gateway_kind, source_kind
from gateway.export import kind_table
from gateway.mapping import load_mapping
from tests.site import MAPPINGS, ROOT


def default_map() -> str:
    """The section between README's map marks."""
    kinds = [gateway_kind("big", "big", [(0, "SOURCE")]), source_kind("big", "big")]
    for name in ("evce.yaml", "bender.yaml"):
        mapping, faults = load_mapping(MAPPINGS / name)
        assert mapping is not None, faults
        kinds += mapping.product.kinds.values()
    return "\n\n".join(kind_table(kind) for kind in kinds)


def test_the_map_in_the_readme_is_the_map_that_is_served() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- map -->\n(.*?)\n<!-- /map -->", text, re.DOTALL)
    assert shown, "the map marks are missing"
    assert shown[1].strip() == default_map().strip()
