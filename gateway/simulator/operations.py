"""Named operations on a simulator: a table of name to parameters and function, checked before the call."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from gateway.simulator.certificate import make_certificate
from gateway.simulator.exchange import BadBodyError
from gateway.simulator.shell import OperationError, Simulator

Target = TypeVar("Target", bound=Simulator)
Outcome = dict[str, Any] | None

NUMBER = (int, float)


@dataclass(frozen=True, slots=True)
class Operation(Generic[Target]):
    """One operation; `needs` and `takes` name the required and the optional parameters with their types."""

    run: Callable[..., Outcome | Awaitable[Outcome]]
    needs: Mapping[str, type | tuple[type, ...]] = field(default_factory=dict)
    takes: Mapping[str, type | tuple[type, ...]] = field(default_factory=dict)


async def carry_out(
    table: Mapping[str, Operation[Target]], target: Target, op: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Checks the parameters of an operation and runs it; returns its result object, {} if it has none."""
    if op not in table:
        raise OperationError(f"there is no operation {op!r}; there are {', '.join(sorted(table))}")
    operation = table[op]
    known = {**operation.needs, **operation.takes}
    for name in operation.needs:
        if name not in parameters:
            raise OperationError(f"{op} needs the parameter {name!r}: {signature(op, operation)}")
    for name, value in parameters.items():
        if name not in known:
            raise OperationError(f"{op} has no parameter {name!r}: {signature(op, operation)}")
        if not isinstance(value, known[name]) or (isinstance(value, bool) and known[name] in (NUMBER, int)):
            raise OperationError(f"the parameter {name!r} of {op} has a wrong type")
    try:
        outcome = operation.run(target, **parameters)
        if inspect.isawaitable(outcome):
            outcome = await outcome
    except (KeyError, BadBodyError) as error:
        raise OperationError(str(error.args[0])) from error
    return outcome or {}


def signature(op: str, operation: Operation[Any]) -> str:
    """An operation and its parameters, those that may be left out in brackets: `add kind name [zone]`."""
    return " ".join([op, *operation.needs, *(f"[{name}]" for name in operation.takes)])


def replace_certificate(simulator: Simulator, expired: bool = False) -> Outcome:
    """Presents a new certificate and drops the connections; answers its fingerprint."""
    if simulator.certificate is None:
        raise OperationError("this simulator runs without TLS")
    simulator.present(make_certificate(expired=expired))
    return {"fingerprint": simulator.fingerprint}


async def listen(simulator: Simulator, on: bool) -> Outcome:
    """Opens or closes the port; while closed, connections are refused."""
    await (simulator.start() if on else simulator.stop())
    return None


def go_down(simulator: Simulator, seconds: float) -> Outcome:
    """Resets every connection for some seconds of the simulator's clock; 0 ends that and resets nothing."""
    simulator.down_until = simulator.clock() + seconds
    if seconds > 0:
        simulator.drop_connections()
    return None


def drop(simulator: Simulator) -> Outcome:
    """Resets the open connections once."""
    simulator.drop_connections()
    return None


SHARED_OPERATIONS: dict[str, Operation[Any]] = {
    "down": Operation(go_down, {"seconds": NUMBER}),
    "drop_connections": Operation(drop),
    "listen": Operation(listen, {"on": bool}),
    "replace_certificate": Operation(replace_certificate, takes={"expired": bool}),
}
