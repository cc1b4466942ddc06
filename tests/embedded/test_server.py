"""Real servers: started, asked, restarted, refused, removed."""

import os
import shutil
import socket
import stat
import threading
import time
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from caching_core.embedded import EmbeddedServer, ServerOptions, _server, find_server_binary
from caching_core.embedded._binary import major_version
from caching_core.errors import ConfigInvalid, DeadlineExceeded, TierUnavailable


def config(server, name):
    return server.call("CONFIG", "GET", name)[1].decode()


def driver(url, **options):
    return redis.Redis.from_url(url.reveal(), socket_timeout=5, retry=Retry(NoBackoff(), 0), **options)


def stranger_to(server):
    """A client that knows the port and nothing else."""
    return redis.Redis(port=server.port, socket_timeout=5, retry=Retry(NoBackoff(), 0))


def test_a_client_library_gets_in_by_either_url(valkey_server):
    for url in (valkey_server.url, valkey_server.unix_url):
        with driver(url) as client:
            assert client.set("k", "v")
            assert client.get("k") == b"v"
    assert valkey_server.password.reveal() not in f"{valkey_server!r} {valkey_server.url!r} {valkey_server.url} {valkey_server.address}"


def test_nobody_gets_in_without_the_password(valkey_server):
    with stranger_to(valkey_server) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_the_password_is_in_no_command_line_file_or_environment(valkey_factory):
    server = valkey_factory(ServerOptions(unix_socket=True))
    secret = server.password.reveal().encode()
    assert len(secret) >= 32
    for name in ("cmdline", "environ"):
        assert secret not in Path(f"/proc/{server.pid}/{name}").read_bytes()
    folder = server.log_path.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.log_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.socket_path.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["server.log", "server.sock"]
    assert secret not in server.log_path.read_bytes()


def test_it_keeps_nothing_and_evicts_nothing_by_default(valkey_factory):
    server = valkey_factory(ServerOptions())
    defaults = [config(server, name) for name in ("save", "appendonly", "maxmemory", "maxmemory-policy", "bind")]
    assert defaults == ["", "no", "0", "noeviction", "127.0.0.1"]
    assert server.socket_path is None
    with pytest.raises(TierUnavailable, match="no unix socket"):
        _ = server.unix_url


def test_memory_is_bounded_and_only_entries_with_a_lifetime_go(valkey_factory):
    server = valkey_factory(ServerOptions(max_memory=8 << 20, eviction="volatile-lru", settings={"hz": "50"}))
    assert [config(server, name) for name in ("maxmemory", "maxmemory-policy", "hz")] == [str(8 << 20), "volatile-lru", "50"]
    with server.connect() as connection:
        connection.call("SET", "ledger", "1")
        for number in range(200):
            connection.call("SET", f"entry:{number}", b"x" * 100_000, "EX", 1000)
        assert connection.call("DBSIZE") < 201
        assert connection.call("GET", "ledger") == b"1"


def test_a_unix_socket_alone_will_do(valkey_factory):
    server = valkey_factory(ServerOptions(port=None, unix_socket=True))
    assert server.port is None
    assert server.url == server.unix_url
    with driver(server.url) as client:
        assert client.ping()
    assert server.address == str(server.socket_path)
    listening = server.call("CONFIG", "GET", "*port")
    assert dict(zip(listening[::2], listening[1::2], strict=True))[b"port"] == b"0"


def test_a_password_of_ones_own_or_none(valkey_factory):
    own = valkey_factory(ServerOptions(password='two words "and" \\ ümlaut#%/@'))
    with driver(own.url) as client:
        assert client.ping()
    none = valkey_factory(ServerOptions(password=""))
    with stranger_to(none) as client:
        assert client.ping()
    assert none.url.reveal() == f"redis://127.0.0.1:{none.port}/0"


def test_debug_is_closed_unless_it_is_asked_for(valkey_factory):
    server = valkey_factory(ServerOptions(debug=True))
    assert server.call("DEBUG", "SLEEP", "0") == "OK"
    if major_version(find_server_binary()) >= 7:
        with pytest.raises(TierUnavailable, match="DEBUG"):
            valkey_factory(ServerOptions()).call("DEBUG", "SLEEP", "0")


def test_a_restart_keeps_the_address_and_a_durable_server_its_data(valkey_factory, tmp_path):
    folder = tmp_path / "data"
    server = valkey_factory(ServerOptions(directory=folder, durable=True, unix_socket=True))
    before = (server.address, server.url, server.pid)
    server.call("SET", "k", "v")
    server.restart()
    assert (server.address, server.url) == before[:2]
    assert server.pid != before[2]
    assert server.call("GET", "k") == b"v"
    server.restart(empty=True)
    assert server.call("DBSIZE") == 0
    server.call("SET", "k", "w")
    server.close()
    assert folder.is_dir()
    again = valkey_factory(ServerOptions(directory=folder, durable=True))
    assert again.call("GET", "k") == b"w"


def test_a_restart_without_data_is_empty_and_stop_keeps_the_address(valkey_factory):
    server = valkey_factory(ServerOptions(unix_socket=True))
    address = server.address
    server.call("SET", "k", "v")
    server.stop()
    server.stop()
    assert not server.is_running
    with pytest.raises(TierUnavailable, match="no connection to"):
        server.call("PING")
    with pytest.raises(TierUnavailable, match=r"does not run; call start\(\)"):
        server.kill()
    assert server.start() is server
    pid = server.pid
    assert server.start().pid == pid
    assert server.address == address
    assert server.call("DBSIZE") == 0


def test_killed_and_paused_and_back(valkey_factory):
    server = valkey_factory()
    server.pause()
    assert server.is_running
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        server.call("PING", timeout=0.05)
    assert time.monotonic() - begun < 2
    server.resume()
    assert server.call("PING") == "PONG"
    server.kill()
    assert not server.is_running
    server.start()
    server.pause()
    server.close()
    assert not server.is_running


def test_a_paused_durable_server_stops_in_order(valkey_factory, tmp_path):
    server = valkey_factory(ServerOptions(directory=tmp_path / "data", durable=True))
    server.pause()
    server.stop()
    assert "ready to exit" in server.log_path.read_text(encoding="utf-8")


def test_a_temporary_directory_goes_with_the_server():
    server = EmbeddedServer()
    with pytest.raises(TierUnavailable, match=r"call start\(\)"):
        _ = server.url
    with server:
        folder, pid = server.log_path.parent, server.pid
        assert folder.is_dir()
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert repr(server) == "<EmbeddedServer nowhere yet, not running>"
    with server:
        assert server.call("PING") == "PONG"


def test_a_server_that_nobody_holds_is_ended():
    server = EmbeddedServer().start()
    folder, pid = server.log_path.parent, server.pid
    del server
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_one_directory_has_one_server(valkey_factory, tmp_path):
    valkey_factory(ServerOptions(directory=tmp_path / "data"))
    with pytest.raises(ConfigInvalid, match="in use by another server"):
        EmbeddedServer(ServerOptions(directory=tmp_path / "data")).start()


def test_a_directory_open_to_others_is_refused(tmp_path):
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigInvalid, match="open to others"):
        EmbeddedServer(ServerOptions(directory=tmp_path)).start()


def test_a_path_too_long_for_a_socket_is_refused(tmp_path):
    with pytest.raises(ConfigInvalid, match="longer than a unix socket's path"):
        EmbeddedServer(ServerOptions(unix_socket=True, directory=tmp_path / ("d" * 100))).start()


def test_a_named_port_that_is_taken_is_an_error_and_a_free_one_is_looked_for_again(monkeypatch, valkey_factory):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        begun = time.monotonic()
        with pytest.raises(TierUnavailable, match="found its port taken"):
            EmbeddedServer(ServerOptions(port=port)).start()
        assert time.monotonic() - begun < 5
        offered = iter([port, port, _server.free_port()])
        monkeypatch.setattr(_server, "free_port", lambda: next(offered))
        assert valkey_factory().port != port


def test_another_server_on_the_port_is_not_taken_for_ours(valkey_factory):
    stranger = valkey_factory(ServerOptions(password=""))
    with pytest.raises(TierUnavailable, match="found its port taken"):
        EmbeddedServer(ServerOptions(port=stranger.port, password="")).start()
    assert stranger.call("PING") == "PONG"


def test_the_end_of_the_log_is_in_the_error(tmp_path):
    options = ServerOptions(settings={"no-such-directive": "1"}, directory=tmp_path / "data", password="hidden-word")
    with pytest.raises(TierUnavailable, match="ended with code 1 before it answered") as caught:
        EmbeddedServer(options).start()
    assert "no-such-directive" in str(caught.value)
    assert "hidden-word" not in str(caught.value)


def test_a_program_that_says_nothing_or_cannot_run_is_told_apart(scripted):
    with pytest.raises(TierUnavailable, match=r"ended with code 3 (?s:.*)it said nothing"):
        EmbeddedServer(ServerOptions(binary=scripted("mute", "exit 3"))).start()
    broken = scripted("broken", "")
    broken.write_bytes(b"\x7fELF no program")
    with pytest.raises(TierUnavailable, match=r"cannot run .*broken: Exec format error"):
        EmbeddedServer(ServerOptions(binary=broken)).start()


def test_a_program_that_never_answers_is_given_up_and_killed(scripted, tmp_path):
    pid_file = tmp_path / "pid"
    sleeper = scripted("sleeper", f"echo $$ > {pid_file}; echo not yet; exec sleep 600")
    server = EmbeddedServer(ServerOptions(binary=sleeper))
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="not yet"):
        server.start(timeout=0.5)
    assert time.monotonic() - begun < 5
    assert not Path(f"/proc/{pid_file.read_text(encoding='ascii').strip()}").exists()
    assert not server.is_running
    server.close()


def test_tls_is_spoken_by_a_server_that_has_it(valkey_factory, tls_files):
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path is None:
            continue
        try:
            server = valkey_factory(ServerOptions(binary=path, tls=tls_files))
        except TierUnavailable as problem:
            assert "built without TLS" in str(problem)  # noqa: PT017 - a server that has no TLS is no finding
            continue
        assert server.url.reveal().startswith("rediss://")
        assert server.call("PING") == "PONG"
        with driver(server.url, ssl_check_hostname=False) as client:
            assert client.ping()
        with stranger_to(server) as client, pytest.raises(redis.ConnectionError):
            client.ping()
        return
    pytest.skip("tls-server: no valkey-server or redis-server with TLS on the PATH")


def test_a_server_without_tls_says_so(tls_files):
    try:
        with EmbeddedServer(ServerOptions(tls=tls_files)) as server:
            assert server.call("PING") == "PONG"  # this one has it
    except TierUnavailable as problem:
        assert "built without TLS: name a binary that has it" in str(problem)  # noqa: PT017 - which of the two depends on the machine


def test_directories_of_killed_supervisors_are_swept(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("caching_core.embedded._place._SWEEP_SECONDS", 0.0)
    left = tmp_path / "caching-valkey-left"
    left.mkdir(mode=0o700)
    (left / "server.log").touch()
    with EmbeddedServer() as first:
        assert not left.exists()
        with EmbeddedServer():
            assert first.log_path.exists()
    assert list(tmp_path.iterdir()) == []


def test_many_threads_start_one_server():
    with EmbeddedServer() as server:
        server.stop()
        threads = [threading.Thread(target=server.start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
        pids = {pid for path in children for pid in path.read_text(encoding="ascii").split()}
        running = [pid for pid in pids if server.port and f":{server.port}" in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")]
        assert running == [str(server.pid)]
