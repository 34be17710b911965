"""What a person should look at: one text per trouble, said once when it comes and once when it goes."""

from __future__ import annotations

import structlog

log = structlog.get_logger("alarms")


class Alarms:
    """All alarms that stand; a key names one trouble for as long as it lasts."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def text(self, key: str) -> str | None:
        """What an alarm says, None while it does not stand."""
        return self._texts.get(key)

    def set(self, key: str, text: str) -> None:
        """Raises an alarm; one that stands only takes the new text."""
        if key not in self._texts:
            log.warning("alarm.set", alarm=key, reason=text)
        self._texts[key] = text

    def clear(self, key: str) -> None:
        """Ends an alarm; one that does not stand is fine."""
        if self._texts.pop(key, None) is not None:
            log.info("alarm.cleared", alarm=key)

    def texts(self) -> dict[str, str]:
        """The texts of all alarms by their keys, oldest first."""
        return dict(self._texts)
