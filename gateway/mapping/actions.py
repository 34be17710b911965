"""The `actions` of a resource to ActionSpecs."""

from __future__ import annotations

from gateway.config.strict_yaml import KeyPath
from gateway.core.point import ActionSpec, FollowSpec
from gateway.mapping import models
from gateway.mapping.command_models import ActionModel, FollowModel
from gateway.mapping.findings import Findings, Nearest, placeholders

LARGEST_CODE = 65534
"""65535 in a register says that there is no value."""


def compile_actions(kind: str, resource: models.ResourceModel, near: Nearest, found: Findings) -> dict[str, ActionSpec]:
    """Every action of a resource."""
    return {name: _action(kind, name, model, resource, near, found) for name, model in resource.actions.items()}


def _action(
    kind: str, name: str, model: ActionModel, resource: models.ResourceModel, near: Nearest, found: Findings
) -> ActionSpec:
    at: KeyPath = ("resources", kind, "actions", name)
    if name in resource.points:
        found.fault(at, f"there is a point {name!r} already; choose another name")
    path = model.put or model.post or ""
    found.url((*at, "put" if model.put else "post"), path, resource.placeholders)
    for code, body in model.codes.items():
        found.body((*at, "codes", code), body, resource.placeholders, resource.points)
        if int(code) > LARGEST_CODE:
            found.fault((*at, "codes", code), f"a code is at most {LARGEST_CODE}")
    return ActionSpec(
        name=name,
        method="PUT" if model.put else "POST",
        path=path,
        codes={int(code): body for code, body in model.codes.items()},
        result=found.path((*at, "result"), model.result) if model.result is not None else None,
        follow=_follow(model, model.follow, resource, at, found) if model.follow is not None else None,
        description=model.description or near.description or "",
        at=model.modbus.at if model.modbus else None,
        instance=model.bacnet.at if model.bacnet else None,
        word_order=near.word_order or "big",
        byte_order=near.byte_order or "big",
    )


def _follow(
    action: ActionModel, model: FollowModel, resource: models.ResourceModel, at: KeyPath, found: Findings
) -> FollowSpec:
    at = (*at, "follow")
    allowed = (*resource.placeholders, *(("result",) if action.result is not None else ()))
    found.url((*at, "get"), model.get, allowed)
    if action.result is not None and "result" not in placeholders(model.get):
        found.fault((*at, "get"), "holds no {result}, and `result` says where to find it")
    both = sorted(set(model.done) & set(model.failed))
    if both:
        found.fault((*at, "failed"), f"{', '.join(both)} cannot be both done and failed")
    if model.timeout <= model.every:
        found.fault((*at, "timeout"), f"must be longer than `every`, {model.every:g} s")
    status = found.path((*at, "path"), model.path)
    return FollowSpec(model.get, status, frozenset(model.done), frozenset(model.failed), model.every, model.timeout)
