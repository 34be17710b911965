"""A product turned by hand, tenth of a second by tenth of a second, for tests of a Delivery."""

from __future__ import annotations

from gateway.core.delivery import Action, Delivery, Target, WriteStatus

S = WriteStatus
SIXTY, EIGHTY, FORTY, RELEASE = Target(60.0), Target(80.0), Target(40.0), Target(None, release=True)


class Product:
    """Drives a Delivery as the engine does; `held` is what the product has, 250 with no limit."""

    def __init__(self) -> None:
        self.delivery = Delivery()
        self.now = 100.0
        self.held: float | None = None
        self.puts: list[tuple[float, Target]] = []
        self.seen: list[WriteStatus] = []
        self.takes = True
        self.outcome = "done"

    def ready(self) -> Product:
        self.delivery.ready(self.now)
        self.read()
        return self

    def ask(self, target: Target, *, tighter: bool = False) -> None:
        self.delivery.ask(target, self.now, tighter=tighter)
        self.note()

    def note(self) -> None:
        if not self.seen or self.seen[-1] is not self.delivery.status:
            self.seen.append(self.delivery.status)

    def read(self) -> None:
        target = self.delivery.target
        if target is None:
            return
        agrees = self.held is None if target.release else self.held == target.raw
        wanted = 250.0 if target.raw is None else float(target.raw)
        self.delivery.read_back(
            self.now,
            agrees=agrees,
            what=f"upstream says {self.held}",
            loosens=self.held is not None and self.held < wanted,
            began=self.now,
        )
        self.note()

    def pump(self) -> None:
        while (action := self.delivery.next_action(self.now)) is not None:
            self.note()
            if action is Action.GET:
                self.read()
            else:
                self.put()
            self.note()

    def put(self) -> None:
        target = self.delivery.target
        assert target is not None
        self.puts.append((self.now, target))
        if self.takes and self.outcome in ("done", "unknown"):
            self.held = None if target.release else float(target.raw)
        match self.outcome:
            case "failed":
                self.delivery.put_failed(self.now, "no connection")
            case "refused":
                self.delivery.put_refused(self.now, "400 'out of range'")
            case other:
                self.delivery.put_done(self.now, certain=other == "done", error="" if other == "done" else "no answer")

    def run(self, seconds: float, *, poll_s: float = 10.0) -> Product:
        """Time passes in tenths; a poll reads every `poll_s`."""
        for tick in range(round(seconds * 10)):
            self.pump()
            if tick % round(poll_s * 10) == round(poll_s * 10) - 1:
                self.read()
            self.now = round(self.now + 0.1, 3)
        self.pump()
        return self

    @property
    def times(self) -> list[float]:
        return [round(at - self.puts[0][0], 1) for at, _ in self.puts]

    @property
    def sent(self) -> list[Target]:
        return [target for _, target in self.puts]
