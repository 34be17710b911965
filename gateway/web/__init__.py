"""What the gateway serves over HTTP: the local control socket, and the page with its API, /healthz and /metrics."""

from gateway.web.control import ANSWER_S, ControlError, ControlPort, ControlServer, ask_daemon
from gateway.web.metrics import MetricsRoute

__all__ = ["ANSWER_S", "ControlError", "ControlPort", "ControlServer", "MetricsRoute", "ask_daemon"]
