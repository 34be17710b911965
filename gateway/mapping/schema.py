"""JSON Schema of a mapping file: a whole one, or one that extends another and may leave out or null anything."""

from __future__ import annotations

from typing import Any

from gateway.config.described import described
from gateway.mapping.described import WORDS
from gateway.mapping.models import MappingFile

WHOLE, PART = "Whole", "Part"
_EXTENSION = {key.replace("Mapping.", "Extension."): text for key, text in WORDS.items() if key.startswith("Mapping.")}


def mapping_schema() -> dict[str, Any]:
    """The schema an editor checks mapping files with."""
    whole = MappingFile.model_json_schema(by_alias=True, ref_template="#/$defs/{model}" + WHOLE)
    part = MappingFile.model_json_schema(by_alias=True, ref_template="#/$defs/{model}" + PART)
    defs = {name + WHOLE: model for name, model in whole.pop("$defs").items()}
    defs |= {name + PART: _loosened(model) for name, model in part.pop("$defs").items()}
    whole["properties"].pop("extends")
    defs["Mapping"] = whole
    defs["Extension"] = {**_loosened(part), "required": ["extends"]}
    defs = described({"$defs": _closed(defs)}, {**WORDS, **_EXTENSION})["$defs"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Mapping of the EVCE gateway",
        "if": {"required": ["extends"]},
        "then": {"$ref": "#/$defs/Extension"},
        "else": {"$ref": "#/$defs/Mapping"},
        "$defs": defs,
    }


def _loosened(model: Any) -> Any:
    """Nothing is required, and null removes whatever the extended file says."""
    if isinstance(model, list):
        return [_loosened(item) for item in model]
    if not isinstance(model, dict):
        return model
    loose = {key: _loosened(value) for key, value in model.items() if key != "required"}
    for members in ("properties", "patternProperties"):
        if isinstance(loose.get(members), dict):
            loose[members] = {name: _or_null(item) for name, item in loose[members].items()}
    if isinstance(loose.get("additionalProperties"), dict):
        loose["additionalProperties"] = _or_null(loose["additionalProperties"])
    return loose


def _closed(model: Any) -> Any:
    """Keys that fit no pattern are refused, as the models do."""
    if isinstance(model, list):
        return [_closed(item) for item in model]
    if not isinstance(model, dict):
        return model
    closed = {key: _closed(value) for key, value in model.items()}
    return {**closed, "additionalProperties": False} if "patternProperties" in closed else closed


def _or_null(schema: Any) -> Any:
    text = {"description": schema["description"]} if "description" in schema else {}
    return {"anyOf": [schema, {"type": "null"}], **text}
