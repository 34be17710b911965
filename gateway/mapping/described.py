"""What the keys of a mapping are, for the help an editor shows: those whose model says nothing itself."""

from __future__ import annotations

from collections.abc import Mapping

_GET = "path below the product's base, e.g. /em/zones/{id}/status; {id} and {parent.id} are filled in"
_ITEMS = "JMESPath of the list in the answer; @ is the answer itself"
_ID = "JMESPath of an item's id, or @key when the ids are an object's keys"
_EVERY = "how often it is asked, e.g. 5s or 2m"
_FIRST, _STRIDE = "address of block 0", "addresses from one block to the next"
_PUT, _POST = "path of a PUT, below the product's base", "path of a POST, below the product's base"
_STALE = "seconds after which a value without news is stale; left out: three periods, 15 s at least"
_LOSS = "what clients read while there is no value: nan, hold or exception"
_WORDS = "big: the high word of a 32-bit value comes first; little: the low word"
_BYTES = "big: the high byte of a register comes first"
_TEXT = "what it is, for exports and BACnet's Description"
_NEAREST = {
    "stale_after_s": _STALE,
    "on_source_loss": _LOSS,
    "word_order": _WORDS,
    "byte_order": _BYTES,
    "description": _TEXT,
}
_BY_MODEL: Mapping[str, Mapping[str, str]] = {
    "Mapping": {**_NEAREST, "product": "evce or bender", "resources": "the kinds of resources, by name"},
    "ResourceModel": {
        **_NEAREST,
        "list": "where the resources of this kind are listed; without it there is one per source",
        "within": "the kind whose answers hold these resources",
        "items": "JMESPath of these resources in their parent's answer",
        "id": _ID,
        "reads": "the GETs that points take their values from, by name",
        "members": "which resources of another kind belong to one of this kind",
        "modbus": "the Modbus region of this kind",
        "bacnet": "the BACnet instances of this kind",
        "points": "the points of each resource, by name",
        "actions": "one-shot commands, by name",
    },
    "PointModel": {
        **_NEAREST,
        "from": "the read whose answer holds the value",
        "path": "JMESPath of the value in that answer; a list: the first that finds something",
        "unit": "engineering unit of the value that clients see",
        "scale": "value = raw x scale + offset; a number, or {point: NAME, by: 0.01}",
        "offset": "value = raw x scale + offset; a number, or {point: NAME}",
        "enum": "code of each text; the first text listed for a code is the one that is written",
        "absent": "the value while the product sends no such member",
        "optional": "true: shown only for resources that have had it once",
        "derive": "computed from points of other resources",
        "skip_bad": "true: resources without a good value are left out of the computation",
        "range": "smallest and largest value that may be written; numbers, or {point: NAME}",
        "command": "how it is written; without it clients only read it",
        "modbus": "where its registers are; a list: the same point in more than one encoding",
        "bacnet": "its BACnet object",
    },
    "CommandModel": {
        "put": _PUT,
        "post": _POST,
        "body": "what is sent; {value}, {default}, {id}, {point:NAME}, {now:iso} and {end:iso} are filled in",
        "release": "what is sent when all slots are empty",
        "default": "Relinquish_Default: the value while nobody asks for one; left out: the loose end of range",
        "none_when": "JMESPath that is true while no limit is in force",
        "verify": "JMESPath that must be true as well before a value counts as in force",
        "floor": "lowest value that is accepted unless allow_stop",
        "allow_stop": "true: values below the floor, 0 included, are accepted",
        "tighter": "which way a limit is tighter: low, high or none",
    },
    "ActionModel": {
        "put": _PUT,
        "post": _POST,
        "description": _TEXT,
        "modbus": "offset of its code register; the result stands after it",
        "bacnet": "offset of its code object; result and error text stand after it",
    },
    "ActionRegionModel": {"first": _FIRST, "stride": _STRIDE},
    "DeriveModel": {"op": "sum, count, max, min or mean", "where": "count: the code or codes that are counted"},
    "FactorModel": {"point": "a point of the same resource", "by": "its value times this"},
    "FollowModel": {
        "done": "answers that mean: it has been done",
        "failed": "answers that mean: it will not be done",
        "every": _EVERY,
    },
    "InstancesModel": {"first": _FIRST, "stride": _STRIDE},
    "ListModel": {
        "get": _GET,
        "items": _ITEMS,
        "id": _ID,
        "name": "JMESPath of an item's name, which is its identity",
        "every": _EVERY,
    },
    "MembersModel": {"of": "kind of the members", "get": _GET, "items": _ITEMS, "id": _ID, "every": _EVERY},
    "ObjectModel": {
        "object": "BACnet object type, e.g. analog-input",
        "cov_increment": "change of the value that is worth a notification",
    },
    "PasswdModel": {"post": "path of the POST that changes the user's own password"},
    "ReadModel": {
        "get": _GET,
        "every": _EVERY,
        "items": "a bulk answer: JMESPath of its list",
        "match": "a bulk answer: JMESPath of an item's id, or @key",
        "none_status": "statuses that mean: there is nothing, e.g. [204, 404]",
    },
    "RegionModel": {"first": _FIRST, "stride": _STRIDE, "capacity": "how many blocks there are"},
    "RegisterModel": {
        "type": "bool, int16, uint16, int32, uint32, int64, uint64, float32, float64, string(n), enum or bits",
        "bit": "type bits: which bit of the register, 0 the least significant",
        "word_order": _WORDS,
        "byte_order": _BYTES,
        "on_source_loss": _LOSS,
    },
}
WORDS: Mapping[str, str] = {f"{model}.{key}": text for model, keys in _BY_MODEL.items() for key, text in keys.items()}
"""By `Model.key`."""
