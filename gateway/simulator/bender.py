"""The Bender simulator: one charge controller behind HTTP."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from gateway.simulator.bender_product import BASE, BenderProduct
from gateway.simulator.charger import Charger
from gateway.simulator.charger_login import ChargerLogin
from gateway.simulator.exchange import Answer, Request
from gateway.simulator.operations import NUMBER, SHARED_OPERATIONS, Operation, Outcome, carry_out, go_down
from gateway.simulator.shell import OperationError, Simulator


class BenderSimulator(Simulator):
    """One simulated controller; `charger` is the model, `received` every write request in order.

    Args:
        host: address to listen on.
        port: TCP port, 0 for a free one.
        name: shown as the charge point's name.
        username: login of the API user.
        password: its password.
        seed: even seeds start with a charging car, odd ones empty.
        clock: epoch seconds; tests inject their own.
        tls: on serves HTTPS.
    """

    base = BASE
    kind = "bender"

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "Bender",
        username: str = "operator",
        password: str = "Charging-2026!",  # noqa: S107
        seed: int = 1,
        clock: Callable[[], float] = time.time,
        tls: bool = False,
    ) -> None:
        super().__init__(host=host, port=port, clock=clock, tls=tls)
        self.name = name
        self.login = ChargerLogin(username, password)
        self.product = BenderProduct(Charger(seed=seed, now=clock()), self.login, name)

    @property
    def charger(self) -> Charger:
        """The model, brought to the clock's time."""
        self.advance()
        return self.product.charger

    def advance(self) -> None:
        """Brings the model to the clock's time."""
        self.product.charger.advance(self.clock())

    def answer(self, request: Request) -> Answer:
        """Answers one request as the controller does."""
        return self.product.handle(request, self.clock(), self.clock_offset_s)

    def ignoring_writes(self, request: Request) -> Answer:
        """Answers like `answer`, with settings accepted and forgotten."""
        before = dict(self.product.charger.settings.values)
        answer = self.answer(request)
        self.product.charger.write(before)
        return answer

    async def do(self, op: str, /, **parameters: Any) -> dict[str, Any]:
        """Carries out an operation of `BENDER_OPERATIONS`; OperationError with a sentence if it cannot."""
        self.advance()
        return await carry_out(BENDER_OPERATIONS, self, op, parameters)

    def truth(self) -> dict[str, Any]:
        """Returns the system state, the settings, the limit in A and who is logged in."""
        charger, session = self.charger, self.login.session
        return {
            "kind": self.kind,
            "name": self.name,
            "time": charger.now,
            "clock_offset_s": self.clock_offset_s,
            "session": session and {"id": session.id, "web": session.web},
            "state": charger.state(self.clock_offset_s),
            "limit_a": charger.limit_a,
            "current_a": charger.outlet.current_a,
            "power_w": charger.outlet.power_w,
            "energy_wh": charger.outlet.energy_wh,
            "settings": charger.settings.values,
            "completed": [asdict(done) for done in charger.completed],
            "messages": charger.messages,
        }


def _revoke(sim: BenderSimulator) -> Outcome:
    sim.login.revoke()
    return None


def _reboot(sim: BenderSimulator, down_s: float = 0.0) -> Outcome:
    sim.login.revoke()
    return go_down(sim, down_s)


def _web_login(sim: BenderSimulator) -> Outcome:
    sim.login.open(sim.clock(), web=True)
    return None


def _set_password(sim: BenderSimulator, password: str) -> Outcome:
    sim.login.password = password
    sim.login.revoke()
    return None


def _clock_offset(sim: BenderSimulator, seconds: float) -> Outcome:
    sim.clock_offset_s = seconds
    return None


def _message(sim: BenderSimulator, type: str, text: str) -> Outcome:  # noqa: A002
    if type not in ("error", "warning"):
        raise OperationError("type must be error or warning")
    messages = sim.charger.messages
    messages.append({"id": str(len(messages) + 1), "type": type, "text": text})
    return None


def _clear_messages(sim: BenderSimulator) -> Outcome:
    sim.charger.messages.clear()
    return None


def _set_setting(sim: BenderSimulator, key: str, value: Any) -> Outcome:
    sim.charger.write(sim.charger.settings.parse({"params": [{"key": key, "value": value}]}))
    return None


def _plug(sim: BenderSimulator) -> Outcome:
    sim.charger.plug()
    return None


def _unplug(sim: BenderSimulator) -> Outcome:
    sim.charger.unplug()
    return None


BENDER_OPERATIONS: dict[str, Operation[Any]] = {
    **SHARED_OPERATIONS,
    "revoke": Operation(_revoke),
    "reboot": Operation(_reboot, takes={"down_s": NUMBER}),
    "web_login": Operation(_web_login),
    "set_password": Operation(_set_password, {"password": str}),
    "clock_offset": Operation(_clock_offset, {"seconds": NUMBER}),
    "message": Operation(_message, {"type": str, "text": str}),
    "clear_messages": Operation(_clear_messages),
    "set_setting": Operation(_set_setting, {"key": str, "value": object}),
    "plug": Operation(_plug),
    "unplug": Operation(_unplug),
}
