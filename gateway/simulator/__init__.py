"""Simulated EVCE and Bender products: pure models behind thin HTTP shells, for demos, `simulate` and tests."""

from gateway.simulator.bender import BenderSimulator
from gateway.simulator.certificate import ServerCertificate, make_certificate
from gateway.simulator.charger import Charger
from gateway.simulator.control import ControlServer
from gateway.simulator.equipment import Meter, MeterReading, Reduction, Station, Zone
from gateway.simulator.evce import EvceSimulator
from gateway.simulator.exchange import Received
from gateway.simulator.faults import Fault, Faults
from gateway.simulator.run import run_simulator
from gateway.simulator.shell import OperationError, Simulator
from gateway.simulator.site import Site

__all__ = [
    "BenderSimulator",
    "Charger",
    "ControlServer",
    "EvceSimulator",
    "Fault",
    "Faults",
    "Meter",
    "MeterReading",
    "OperationError",
    "Received",
    "Reduction",
    "ServerCertificate",
    "Simulator",
    "Site",
    "Station",
    "Zone",
    "make_certificate",
    "run_simulator",
]
