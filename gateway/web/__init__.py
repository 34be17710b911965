"""What the gateway serves over HTTP: the local control socket and /healthz."""

from gateway.web.control import ANSWER_S, ControlError, ControlPort, ControlServer, ask_daemon
from gateway.web.health import HealthServer

__all__ = ["ANSWER_S", "ControlError", "ControlPort", "ControlServer", "HealthServer", "ask_daemon"]
