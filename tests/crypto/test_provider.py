"""Key-encryption keys from a list, the environment, a file or a passphrase."""

import base64
import hashlib
import multiprocessing
import os
import pickle
import subprocess
import sys
import warnings

import pytest

from caching_core.crypto import (
    CacheSecurityWarning,
    FileProvider,
    StaticProvider,
    env_provider,
    kek_id_of,
    make_key_file,
    open_with_nonce,
    parse_encryption_key,
)
from caching_core.errors import ConfigInvalid, KeyUnavailable

OLD, NEW = b"\x01" * 32, b"\x02" * 32


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


async def test_what_is_wrapped_opens_for_the_same_name_and_purpose_only(world):
    provider = StaticProvider([NEW])
    made = await provider.generate("acme", purpose="root")
    assert len(made.root) == 32
    assert made.kek_id == kek_id_of(NEW)
    assert made.root not in made.wrapped
    assert await provider.unwrap(made.wrapped, made.kek_id, name="acme", purpose="root") == made.root
    for name, purpose in [("acmf", "root"), ("acme", "roo"), ("acm", "eroot"), ("acmeroot", "")]:
        with pytest.raises(KeyUnavailable, match="does not open"):
            await provider.unwrap(made.wrapped, made.kek_id, name=name, purpose=purpose)


async def test_wrapping_is_xaes_with_name_and_purpose_bound(world):
    made = await StaticProvider([NEW]).generate("acme", purpose="root")
    aad = b"caching-core/wrap/v1" + b"\0\0\0\x04acme" + b"\0\0\0\x04root"
    assert made.wrapped[:1] == b"\x01"
    assert open_with_nonce(NEW, made.wrapped[1:], aad) == made.root


async def test_a_changed_wrapping_does_not_open(world):
    provider = StaticProvider([NEW])
    made = await provider.generate("acme", purpose="root")
    for position in range(len(made.wrapped)):
        wrong = bytearray(made.wrapped)
        wrong[position] ^= 1
        for broken in (bytes(wrong), made.wrapped[:position]):
            with pytest.raises(KeyUnavailable):
                await provider.unwrap(broken, made.kek_id, name="acme", purpose="root")


async def test_the_first_key_wraps_and_all_of_them_open(world):
    old = await StaticProvider([OLD]).generate("acme", purpose="root")
    both = StaticProvider([NEW, OLD])
    assert await both.unwrap(old.wrapped, old.kek_id, name="acme", purpose="root") == old.root
    assert (await both.generate("acme", purpose="root")).kek_id == kek_id_of(NEW)
    wrapped, kek_id = await both.rewrap(old.wrapped, old.kek_id, name="acme", purpose="root")
    assert kek_id == kek_id_of(NEW)
    assert await StaticProvider([NEW]).unwrap(wrapped, kek_id, name="acme", purpose="root") == old.root
    assert await both.rewrap(wrapped, kek_id, name="acme", purpose="root") == (wrapped, kek_id)
    with pytest.raises(KeyUnavailable, match="does not have"):
        await StaticProvider([NEW]).unwrap(old.wrapped, old.kek_id, name="acme", purpose="root")


async def test_health_is_told_without_secrets(world):
    health = await StaticProvider([NEW, OLD]).health()
    assert health.is_healthy
    assert health.kek_ids == (kek_id_of(NEW), kek_id_of(OLD))


async def test_no_secret_is_shown(world):
    secret = b"hush" * 8
    provider = StaticProvider([secret], random=lambda size: (b"root" * 8)[:size])
    made = await provider.generate("acme", purpose="root")
    shown = repr(provider) + repr(made) + str(provider)
    assert "hush" not in shown
    assert "rootroot" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(provider)


@pytest.mark.parametrize("keks", [[], [b""], [bytes(31)], [bytes(32), bytes(33)]])
def test_keys_of_another_size_are_refused(keks):
    with pytest.raises(ConfigInvalid):
        StaticProvider(keks)


def test_the_environment_holds_keys_separated_by_commas():
    provider = env_provider({"CACHING_ENCRYPTION_KEYS": f"{text(NEW)}, {text(OLD)}"})
    assert kek_id_of(NEW).hex()[:8] in repr(provider).split(",")[0]
    assert kek_id_of(OLD).hex()[:8] in repr(provider)


@pytest.mark.parametrize("value", ["", "  ", "short", f"{text(NEW)},", f"{text(NEW)},secret-part", ",".join([text(bytes(16))])])
def test_a_bad_environment_is_refused_without_showing_it(value):
    with pytest.raises(ConfigInvalid) as caught:
        env_provider({"CACHING_ENCRYPTION_KEYS": value})
    assert "CACHING_ENCRYPTION_KEYS" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert text(NEW) not in str(caught.value)
    with pytest.raises(ConfigInvalid):
        env_provider({})


async def test_a_made_key_file_is_the_owners_alone_and_works(tmp_path, world):
    path = tmp_path / "key"
    assert make_key_file(path) is True
    assert path.stat().st_mode & 0o7777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]
    content = path.read_bytes()
    assert make_key_file(path) is False
    assert path.read_bytes() == content
    provider = FileProvider(path)
    made = await provider.generate("acme", purpose="root")
    assert await FileProvider(str(path)).unwrap(made.wrapped, made.kek_id, name="acme", purpose="root") == made.root
    assert (await provider.health()).is_healthy


def test_a_strict_umask_does_not_lock_the_owner_out(tmp_path):
    before = os.umask(0o777)
    try:
        make_key_file(tmp_path / "key")
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o7777 == 0o600
    FileProvider(tmp_path / "key")


def make_and_read(path, gate, answers):
    gate.wait(30)
    made = make_key_file(path)
    answers.put((made, path.read_bytes(), path.stat().st_mode & 0o777))


def test_of_many_processes_exactly_one_makes_the_file_and_all_read_it_whole(tmp_path):
    context = multiprocessing.get_context("spawn")
    path, gate, answers = tmp_path / "key", context.Barrier(4), context.Queue()
    workers = [context.Process(target=make_and_read, args=(path, gate, answers)) for _ in range(4)]
    for worker in workers:
        worker.start()
    got = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(30)
    answers.close()
    assert sorted(made for made, _, _ in got) == [False, False, False, True]
    assert len({content for _, content, _ in got}) == 1
    assert {mode for _, _, mode in got} == {0o600}
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o622])
def test_a_file_open_to_others_is_refused_with_the_remedy(tmp_path, mode):
    path = tmp_path / "key"
    make_key_file(path)
    path.chmod(mode)
    with pytest.raises(ConfigInvalid, match="chmod 600"):
        FileProvider(path)
    path.chmod(0o400)
    FileProvider(path)


def test_what_is_no_plain_file_is_refused(tmp_path):
    make_key_file(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    for name, words in [
        ("link", "symbolic link"),
        ("dangling", "symbolic link"),
        ("pipe", "not a plain file"),
        ("folder", "not a plain file"),
    ]:
        with pytest.raises(ConfigInvalid, match=words):
            FileProvider(tmp_path / name)
    with pytest.raises(KeyUnavailable, match="new-key"):
        FileProvider(tmp_path / "absent")


def test_making_a_file_follows_no_link(tmp_path):
    (tmp_path / "dangling").symlink_to(tmp_path / "elsewhere")
    assert make_key_file(tmp_path / "dangling") is False
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(KeyUnavailable, match="directory"):
        make_key_file(tmp_path / "no" / "such" / "key")


def test_another_users_file_is_refused(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("root: only root can give a file away")
    make_key_file(tmp_path / "key")
    os.chown(tmp_path / "key", 12345, -1)
    with pytest.raises(ConfigInvalid, match="belongs to user 12345"):
        FileProvider(tmp_path / "key")


@pytest.mark.parametrize("content", ["", "\n\n", "secret-part\n", "QUJD\n", "\xff\xfe", "x" * 70_000])
def test_a_file_without_keys_is_refused_without_showing_it(tmp_path, content):
    path = tmp_path / "key"
    make_key_file(path)
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ConfigInvalid) as caught:
        FileProvider(path)
    assert "secret" not in str(caught.value)
    assert str(path) in str(caught.value)


async def test_a_key_added_to_the_file_is_found_without_a_restart(tmp_path, world):
    path = tmp_path / "key"
    make_key_file(path)
    provider = FileProvider(path)
    added = await StaticProvider([NEW]).generate("acme", purpose="root")
    with pytest.raises(KeyUnavailable):
        await provider.unwrap(added.wrapped, added.kek_id, name="acme", purpose="root")
    path.write_text(path.read_text() + text(NEW) + "\n")
    assert await provider.unwrap(added.wrapped, added.kek_id, name="acme", purpose="root") == added.root
    path.chmod(0o644)
    health = await provider.health()
    assert not health.is_healthy
    assert "chmod" in health.detail


@pytest.mark.parametrize(
    "given",
    [
        base64.b64encode(b"\xff\xfe" * 16).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe" * 16).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe" * 16).decode().rstrip("="),
        f"  {base64.b64encode(bytes([255, 254] * 16)).decode()}\n",
    ],
)
def test_a_key_in_base64_is_taken_as_it_is_and_without_a_warning(given):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_encryption_key(given, "default") == b"\xff\xfe" * 16


def test_a_passphrase_is_stretched_as_the_contract_says_with_a_warning():
    salt = hashlib.sha256(b"caching-core/passphrase/v1" + b"default").digest()[:16]
    expected = hashlib.scrypt(b"correct horse", salt=salt, n=32768, r=8, p=1, maxmem=64 << 20, dklen=32)
    with pytest.warns(CacheSecurityWarning) as warned:
        assert parse_encryption_key("correct horse", "default") == expected
    assert "horse" not in str(warned[0].message)
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match="passphrase"):
        assert parse_encryption_key("correct horse", "other") != expected


@pytest.mark.parametrize("weak", ["", "short", "1234567", "aaaaaaaaaaaa", "abababababab", "abcabcabcabc"])
def test_a_passphrase_that_can_be_guessed_is_refused_without_showing_it(weak):
    with pytest.raises(ConfigInvalid) as caught:
        parse_encryption_key(weak, "default")
    assert not weak or weak not in str(caught.value)


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, caching_core.crypto, caching_core.codec; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {"numpy", "redis", "httpx", "prometheus_client"} & set(done.stdout.split())
