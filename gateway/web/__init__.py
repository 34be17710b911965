"""What the gateway serves over HTTP: the local control socket and /healthz."""

from gateway.web.control import ANSWER_S, ControlError, ControlPort, ControlServer, ask_daemon
from gateway.web.health import HealthServer
from gateway.web.metrics import MetricsRoute

__all__ = ["ANSWER_S", "ControlError", "ControlPort", "ControlServer", "HealthServer", "MetricsRoute", "ask_daemon"]
