"""The files and tables beside the energy model: firmwares, diagnostics reports, station and meter models.

The guide names these resources and not their members; both dialects show them alike.
"""

import io
import zipfile
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Firmware:
    """One stored station firmware."""

    id: int
    file_name: str
    station_type: str
    version: str


@dataclass(frozen=True, slots=True)
class Report:
    """One stored diagnostics report; `created` is a model second."""

    id: int
    station_id: int
    file_name: str
    created: float


@dataclass(slots=True)
class MeterModel:
    """One power meter type: where EVCE reads its values over Modbus."""

    id: int
    name: str
    registers: list[dict[str, Any]] = field(default_factory=list)


class Stores:
    """Everything the product keeps beside the installation; ids count up per kind."""

    station_type = "evlink_pro_ac"

    def __init__(self) -> None:
        self.firmwares = {1: Firmware(1, "evlink_pro_ac_1.4.2.bin", self.station_type, "1.4.2")}
        self.reports: dict[int, Report] = {}
        self.meter_models = {
            number: MeterModel(number, name, _registers(first))
            for number, name, first in ((1, "iEM3155", 2999), (2, "iEM3255", 2999), (3, "PM3255", 2999))
        }

    def add_firmware(self, file_name: str, station_type: str, version: str) -> Firmware:
        """Stores a firmware under the next id."""
        firmware = Firmware(max(self.firmwares) + 1, file_name, station_type, version)
        self.firmwares[firmware.id] = firmware
        return firmware

    def add_report(self, station_id: int, now: float) -> Report:
        """Stores a diagnostics report under the next id."""
        number = len(self.reports) + 1
        report = Report(number, station_id, f"diagnostics_{station_id}_{number}.zip", now)
        self.reports[number] = report
        return report

    def firmware_list(self) -> list[dict[str, Any]]:
        """Returns the firmwares as JSON objects {id, file_name, station_type, version}."""
        return [asdict(firmware) for firmware in self.firmwares.values()]

    def firmware(self, number: int) -> dict[str, Any]:
        """Returns one firmware as a JSON object; KeyError if there is none."""
        return asdict(self.firmwares[number])

    def report_list(self, station_id: int | None = None) -> list[dict[str, Any]]:
        """Returns the reports of one station or of all as JSON objects {id, station_id, file_name}."""
        return [
            {"id": report.id, "station_id": report.station_id, "file_name": report.file_name}
            for report in self.reports.values()
            if station_id in (None, report.station_id)
        ]

    def model(self, number: int) -> dict[str, Any]:
        """Returns a meter model as {id, desc: {name, registers}}; KeyError if there is none."""
        model = self.meter_models[number]
        return {"id": model.id, "desc": {"name": model.name, "registers": model.registers}}

    def archive(self) -> bytes:
        """Returns all reports as one zip file."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for report in self.reports.values():
                archive.writestr(report.file_name, f"station {report.station_id}\n")
        return buffer.getvalue()


def _registers(first: int) -> list[dict[str, Any]]:
    names = ("current_l1", "current_l2", "current_l3")
    return [
        {"name": name, "address": first + 2 * place, "function": 3, "type": "float32"}
        for place, name in enumerate(names)
    ]
