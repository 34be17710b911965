"""The pace of many answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from bacpypes3.pdu import GlobalBroadcast, IPv4Address

from gateway.servers.bacnet.rollcall import BURST, MOST_PEERS, MOST_QUESTIONS, PEER_BURST, Answer, RollCall

ONE, TWO = IPv4Address(("10.0.0.1", 47808)), IPv4Address(("10.0.0.2", 47808))


Q = b"who is"


def devices(*numbers: int) -> Callable[[], Iterable[Answer]]:
    return lambda: map(Answer, numbers)


def call() -> tuple[RollCall, list[int]]:
    woken: list[int] = []
    return RollCall(lambda: woken.append(1)), woken


def test_one_peer_gets_so_many_at_once_and_all_of_them_in_order() -> None:
    calls, woken = call()
    calls.answer(ONE, Q, devices(*range(40)))
    assert woken == [1]
    passes = []
    while calls.waits:
        passes.append([answer.device for _, answer in calls.pump()])
    assert [len(each) for each in passes] == [PEER_BURST, PEER_BURST, 40 - 2 * PEER_BURST]
    assert [device for each in passes for device in each] == list(range(40))


def test_who_asks_the_same_again_meanwhile_is_not_answered_twice() -> None:
    calls, _ = call()
    calls.answer(ONE, Q, devices(*range(20)))
    said = list(calls.pump())
    for _ in range(100):
        calls.answer(ONE, Q, lambda: pytest.fail("nobody has to look for it again"))
    calls.answer(ONE, b"another question", devices(19, 20, 21))
    while calls.waits:
        said += list(calls.pump())
    assert [answer.device for _, answer in said] == list(range(22))
    calls.answer(ONE, Q, devices(1))
    assert len(list(calls.pump())) == 1, "it was answered; who asks now asks anew"


def test_a_peer_has_room_for_so_many_questions() -> None:
    calls, _ = call()
    for number in range(200):
        calls.answer(ONE, str(number).encode(), devices(number))
    said = []
    while calls.waits:
        said += list(calls.pump())
    assert len(said) == MOST_QUESTIONS


def test_peers_take_turns_and_all_together_get_no_more_than_a_burst() -> None:
    calls, _ = call()
    for last in range(1, 9):
        calls.answer(IPv4Address((f"10.0.0.{last}", 47808)), Q, devices(*range(100)))
    sent = [peer for peer, _ in calls.pump()]
    assert len(sent) == BURST
    assert len(set(sent)) == BURST // PEER_BURST
    again = {peer for peer, _ in calls.pump()}
    assert not again & set(sent)


def test_more_peers_than_there_is_room_for_ask_again() -> None:
    calls, _ = call()
    for number in range(MOST_PEERS + 5):
        calls.answer(IPv4Address(("10.0.0.1", 1000 + number)), Q, devices(1))
    assert calls.refused == 5
    assert len([1 for _ in range(10) for _ in calls.pump()]) == MOST_PEERS


def test_introductions_are_one_a_pass_beside_the_answers() -> None:
    calls, _ = call()
    calls.announce([1, 2, 3])
    calls.announce([3, 4])
    calls.answer(TWO, Q, devices(9))
    said = [list(calls.pump()) for _ in range(4)]
    assert [[answer.device for peer, answer in each if isinstance(peer, GlobalBroadcast)] for each in said] == [
        [1],
        [2],
        [3],
        [4],
    ]
    assert (TWO, Answer(9)) in said[0]
    assert not calls.waits


def test_nothing_to_say_wakes_nobody() -> None:
    calls, woken = call()
    calls.answer(ONE, Q, devices())
    assert not calls.waits
    assert woken == []
