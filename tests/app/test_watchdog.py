"""Which loops feed systemd's watchdog, and what is said of one that hangs."""

from __future__ import annotations

import structlog

from gateway.app.watchdog import Loop, Watchdog, site_loops, site_words
from tests.site import running_site


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


class Manager:
    """What systemd was told; `listens` False: it is not there."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.listens = True

    def __call__(self, message: str) -> bool:
        if self.listens:
            self.told.append(message)
        return self.listens

    def fed(self) -> bool:
        fed = "WATCHDOG=1" in self.told
        self.told = [message for message in self.told if message != "WATCHDOG=1"]
        return fed


def looking(loops, limit_s: float | None = 30.0, words="serving"):
    clock, manager = Clock(), Manager()
    said = {"words": words}
    return Watchdog(clock, lambda: loops, lambda: said["words"], manager, limit_s), clock, manager, said


def test_H10_it_is_fed_only_while_every_loop_goes_on():
    loops = {"commands": Loop(1, 20.0), "poller evce": Loop(1, 120.0)}
    dog, clock, manager, _said = looking(loops)
    dog.look()
    assert manager.fed()
    clock.now += 19
    dog.look()
    assert manager.fed()
    clock.now += 2
    with structlog.testing.capture_logs() as lines:
        dog.look()
        dog.look()
    assert not manager.fed()
    assert [(line["event"], line["loop"], line["seconds"]) for line in lines] == [
        ("watchdog.loop_hangs", "commands", 21)
    ]
    assert manager.told[-1] == "STATUS=hangs: commands"
    loops["commands"] = Loop(2, 20.0)
    with structlog.testing.capture_logs() as lines:
        dog.look()
    assert manager.fed()
    assert [line["event"] for line in lines] == ["watchdog.loop_goes_on"]
    assert manager.told[-1] == "STATUS=serving"


def test_each_loop_has_a_time_of_its_own_and_one_that_is_gone_is_not_missed():
    loops = {"commands": Loop(0, 20.0), "poller evce": Loop(0, 120.0)}
    dog, clock, manager, _said = looking(loops)
    dog.look()
    for turn in range(1, 12):
        clock.now += 10
        loops["commands"] = Loop(turn, 20.0)
        dog.look()
        assert manager.fed()
    clock.now += 15
    loops["commands"] = Loop(99, 20.0)
    dog.look()
    assert not manager.fed()
    del loops["poller evce"]
    dog.look()
    assert manager.fed()
    loops["poller evce"] = Loop(0, 120.0)
    dog.look()
    assert manager.fed()


def test_nothing_is_fed_where_nobody_wants_it_and_the_words_are_said_once():
    dog, _clock, manager, said = looking({"commands": Loop(1, 20.0)}, limit_s=None)
    dog.look()
    dog.look()
    assert manager.told == ["STATUS=serving"]
    said["words"] = "serving; 1 of 2 sources connected"
    manager.listens = False
    dog.look()
    manager.listens = True
    dog.look()
    assert manager.told == ["STATUS=serving", "STATUS=serving; 1 of 2 sources connected"]


async def test_every_loop_of_a_running_site_is_watched_and_goes_on(tmp_path):
    async with running_site(tmp_path) as site:
        await site.complete()
        daemon = site.daemon
        before = site_loops(daemon, daemon.listeners)
        assert set(before) == {f"poller {name}" for name in daemon.pollers} | {"commands", "Modbus", "BACnet"}
        for name, loop in before.items():
            await site.until(lambda n=name, p=loop.pulse: site_loops(daemon, daemon.listeners)[n].pulse != p)
        assert (
            site_words(daemon) == f"serving; {len(daemon.pollers)} of {len(daemon.pollers)} sources connected; no alarm"
        )
        await site.evce.do("listen", on=False)
        await site.until(lambda: "sources connected; no alarm" not in site_words(daemon), 30.0)
        before = site_loops(daemon, daemon.listeners)
        await site.until(lambda: site_loops(daemon, daemon.listeners)["poller evce"] != before["poller evce"])
