"""The pace of many answers."""

from __future__ import annotations

from bacpypes3.pdu import GlobalBroadcast, IPv4Address

from gateway.servers.bacnet.rollcall import BURST, MOST_PEERS, PEER_BURST, Answer, RollCall

ONE, TWO = IPv4Address(("10.0.0.1", 47808)), IPv4Address(("10.0.0.2", 47808))


def call() -> tuple[RollCall, list[int]]:
    woken: list[int] = []
    return RollCall(lambda: woken.append(1)), woken


def test_one_peer_gets_so_many_at_once_and_all_of_them_in_order() -> None:
    calls, woken = call()
    calls.answer(ONE, map(Answer, range(40)))
    assert woken == [1]
    passes = []
    while calls.waits:
        passes.append([answer.device for _, answer in calls.pump()])
    assert [len(each) for each in passes] == [PEER_BURST, PEER_BURST, 40 - 2 * PEER_BURST]
    assert [device for each in passes for device in each] == list(range(40))


def test_who_asks_again_meanwhile_gets_each_answer_once_more_at_most() -> None:
    calls, _ = call()
    calls.answer(ONE, map(Answer, range(20)))
    first = list(calls.pump())
    calls.answer(ONE, map(Answer, range(20)))
    rest = []
    while calls.waits:
        rest += list(calls.pump())
    assert len(first) + len(rest) == 16 + 20


def test_peers_take_turns_and_all_together_get_no_more_than_a_burst() -> None:
    calls, _ = call()
    for last in range(1, 9):
        calls.answer(IPv4Address((f"10.0.0.{last}", 47808)), map(Answer, range(100)))
    sent = [peer for peer, _ in calls.pump()]
    assert len(sent) == BURST
    assert len(set(sent)) == BURST // PEER_BURST
    again = {peer for peer, _ in calls.pump()}
    assert not again & set(sent)


def test_more_peers_than_there_is_room_for_ask_again() -> None:
    calls, _ = call()
    for number in range(MOST_PEERS + 5):
        calls.answer(IPv4Address(("10.0.0.1", 1000 + number)), [Answer(1)])
    assert calls.refused == 5
    assert len([1 for _ in range(10) for _ in calls.pump()]) == MOST_PEERS


def test_introductions_are_one_a_pass_beside_the_answers() -> None:
    calls, _ = call()
    calls.announce([1, 2, 3])
    calls.announce([3, 4])
    calls.answer(TWO, [Answer(9)])
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
    calls.answer(ONE, [])
    assert not calls.waits
    assert woken == []
