"""Links to servers that refuse, hang, drip, talk nonsense or come back: each fault by a real socket."""

import os
import socket
import threading

import pytest

from caching_core.errors import DeadlineExceeded, TierUnavailable
from caching_core.tiers.redis import Address, BlockingLink, Health

PING = b"*1\r\n$4\r\nPING\r\n"


def pong(connection: socket.socket) -> None:
    connection.sendall(b"+PONG\r\n")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_replies_come_back_in_order(asking, scripted):
    server = scripted()
    link = asking(server.port)
    assert link.ask() == link.ask() == [b"PONG"]
    assert server.connections == 1
    assert link.told == []


def test_a_refused_port_turns_callers_away_until_somebody_listens(asking, scripted):
    port = free_port()
    link = asking(port)
    with pytest.raises(TierUnavailable, match=f"127.0.0.1:{port}"):
        link.ask()
    with pytest.raises(TierUnavailable):
        link.ask()
    assert len(link.told) == 1
    scripted(port=port)
    assert link.back.wait(20)
    assert link.ask() == [b"PONG"]
    assert link.told[1:] == [None]


def test_a_server_that_hangs_costs_one_caller_its_deadline_and_is_found_again(asking, scripted):
    answers = threading.Event()
    server = scripted(lambda connection: pong(connection) if answers.is_set() else None)
    link = asking(server.port)
    with pytest.raises(DeadlineExceeded):
        link.ask()
    for _ in range(100):
        with pytest.raises(TierUnavailable, match="did not answer"):
            link.ask()
    assert server.commands < 100  # those were probes, or none
    answers.set()
    assert link.back.wait(20)
    assert link.ask() == [b"PONG"]


def test_a_reply_in_drips_does_not_outlive_the_deadline(asking, scripted):
    reply = b"$400\r\n" + b"x" * 400 + b"\r\n"
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        for at in range(len(reply)):
            connection.sendall(reply[at : at + 1])
            if stop.wait(0.02):
                return

    link = asking(scripted(drip).port)
    try:
        with pytest.raises(DeadlineExceeded):
            link.ask()
    finally:
        stop.set()


@pytest.mark.parametrize("ending", [b"", b"$100\r\nhalf"])
def test_a_connection_that_ends_is_not_used_again(asking, scripted, ending):
    broken = [True]

    def answer(connection: socket.socket) -> None:
        if broken:
            broken.clear()
            connection.sendall(ending)
            connection.shutdown(socket.SHUT_RDWR)
        else:
            pong(connection)

    server = scripted(answer)
    link = asking(server.port)
    with pytest.raises(TierUnavailable):
        link.ask()
    assert link.back.wait(20)
    assert link.ask() == [b"PONG"]
    assert server.connections > 1


def test_nonsense_is_a_fault_of_the_connection(asking, scripted):
    link = asking(scripted(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")).port)
    with pytest.raises(TierUnavailable):
        link.ask()
    assert link.health.lost is not None


def test_a_closed_link_says_so(asking, scripted):
    link = asking(scripted().port)
    link.ask()
    link.health.close()
    with pytest.raises(TierUnavailable, match="is closed"):
        link.ask()


def test_threads_share_few_connections(scripted):
    server = scripted()
    link = BlockingLink(Health(Address.parse(f"redis://127.0.0.1:{server.port}")), deadline=5.0)
    failures = []

    def work() -> None:
        try:
            for _ in range(200):
                assert link.ask_now(PING) == [b"PONG"]
        except Exception as error:  # noqa: BLE001 - told below, whatever it was
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    link.close()
    assert failures == []
    assert server.connections <= 16


def test_a_forked_child_connects_by_itself(scripted):
    server = scripted()
    link = BlockingLink(Health(Address.parse(f"redis://127.0.0.1:{server.port}")), deadline=5.0)
    assert link.ask_now(PING) == [b"PONG"]
    child = os.fork()
    if child == 0:
        os._exit(0 if link.ask_now(PING) == [b"PONG"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert link.ask_now(PING) == [b"PONG"]
    assert server.connections == 2
    link.close()


def test_secrets_are_in_no_text():
    address = Address.parse("redis://someone:hunter2@127.0.0.1:1/3", password="hunter3")
    link = BlockingLink(Health(address), deadline=1.0)
    with pytest.raises(TierUnavailable) as refused:
        link.ask_now(PING)
    link.close()
    assert "hunter" not in repr(address) + str(refused.value) + str(link.lost)
    assert address.where == "127.0.0.1:1/3"
