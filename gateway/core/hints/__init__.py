"""What a client probably does wrong, in plain words, each from evidence; pure rules, time comes in as a number."""

from gateway.core.hints.bacnet import BacnetHabits
from gateway.core.hints.extents import Extents, Place
from gateway.core.hints.finding import HINTS, Finding, Hints, Often, Standing
from gateway.core.hints.modbus import Asked, ModbusHabits, guess_protocol, judge

__all__ = [
    "HINTS",
    "Asked",
    "BacnetHabits",
    "Extents",
    "Finding",
    "Hints",
    "ModbusHabits",
    "Often",
    "Place",
    "Standing",
    "guess_protocol",
    "judge",
]
