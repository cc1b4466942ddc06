"""Tenant ids, keys, namespaces, tags and lifetimes: what passes stays as it is, the rest is told why."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caching_core.config import MAX_TTL
from caching_core.errors import KeyInvalid, TenantUnknown, TTLInvalid
from caching_core.tenancy import (
    MAX_INVALIDATED,
    MAX_KEY,
    check_key,
    check_keys,
    check_namespace,
    check_stale_ttl,
    check_tag,
    check_tags,
    check_tenant,
    check_ttl,
)


class Word(str):
    __slots__ = ()

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        return self is other


@pytest.mark.parametrize("tenant", ["a", "main", "acme-1_x", "0", "a" * 63])
def test_a_tenant_id_in_form_stays_as_it_is(tenant):
    assert check_tenant(tenant) == tenant


HOSTILE = [
    "a:b",
    "a}{b",
    "*",
    "[a-z]",
    "a?",
    "../x",
    "",
    "a" * 64,
    "-a",
    "_a",
    "@fleet",
    "a\r\nb",
    "a\0",
    "a\n",
    "\u202eacme",
    "ac\u200bme",
]
LOOKALIKES = [
    "\u0430cme",
    "\uff41cme",
    unicodedata.normalize("NFD", "é"),
    unicodedata.normalize("NFC", "é"),
    "ACME",
    "Acme",
    "acme ",
    "\ud800",
    "\uff11",
]


@pytest.mark.parametrize("tenant", [*HOSTILE, *LOOKALIKES])
def test_any_other_tenant_id_is_refused_and_shown_harmlessly(tenant):
    with pytest.raises(TenantUnknown, match="is not a tenant id") as caught:
        check_tenant(tenant)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


def test_a_long_tenant_id_is_cut_in_the_message():
    with pytest.raises(TenantUnknown) as caught:
        check_tenant("x" * 10**6)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("tenant", [None, 1, b"acme", ["acme"], object()])
def test_a_tenant_that_is_no_text_is_refused_with_its_type(tenant):
    with pytest.raises(TenantUnknown, match=type(tenant).__name__):
        check_tenant(tenant)


@pytest.mark.parametrize("check", [check_tenant, check_key, check_namespace, check_tag])
def test_what_passes_is_an_exact_text(check):
    assert type(check(Word("acme"))) is str
    assert {check(Word("acme"))} == {"acme"}


@pytest.mark.parametrize("key", ["k", "user:123", "a b", "~x", "{x}", "\0\r\n", "é" * 10, "*?[", "x" * MAX_KEY, "\U0001f600"])
def test_a_key_of_any_characters_stays_as_it_is(key):
    assert check_key(key) == key


@pytest.mark.parametrize("keys", ["user:1", b"user:1", bytearray(b"k"), None, 5, True, object()])
def test_what_is_no_list_of_keys_is_refused(keys):
    with pytest.raises(KeyInvalid, match=f"list of str, got {type(keys).__name__}"):
        check_keys(keys)


def test_keys_come_once_each_in_their_order():
    assert check_keys(iter(["b", "a", "b"])) == ["b", "a"]
    assert check_keys({"b": 1, "a": 2}) == ["b", "a"]
    assert check_keys(()) == []
    assert check_keys(["a", ["b"]]) == ["a", ["b"]]  # check_key refuses the second


@pytest.mark.parametrize("value", [b"k", 5, None, ("a",), bytearray(b"k"), 1.5])
@pytest.mark.parametrize("check", [check_key, check_namespace, check_tag])
def test_what_is_no_text_is_refused_with_its_type(check, value):
    with pytest.raises(KeyInvalid, match=f"must be str, got {type(value).__name__}"):
        check(value)


@pytest.mark.parametrize(("check", "limit"), [(check_key, 2048), (check_namespace, 200), (check_tag, 250)])
def test_lengths_are_bounded_and_named(check, limit):
    assert check("x" * limit) == "x" * limit
    with pytest.raises(KeyInvalid, match=f"1 to {limit} characters, got {limit + 1}"):
        check("x" * (limit + 1))
    with pytest.raises(KeyInvalid, match="got 0; an empty one names nothing"):
        check("")


@pytest.mark.parametrize("check", [check_key, check_namespace, check_tag])
@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "é\udc80b"])
def test_a_lone_surrogate_is_refused(check, text):
    with pytest.raises(KeyInvalid, match="surrogate"):
        check(text)


@pytest.mark.parametrize("check", [check_namespace, check_tag])
def test_the_cache_s_own_names_are_refused(check):
    with pytest.raises(KeyInvalid, match="'@'"):
        check("@all")


def test_a_message_about_a_key_never_holds_the_key():
    with pytest.raises(KeyInvalid) as caught:
        check_key("someone@example.org" + "x" * 3000)
    assert "someone" not in str(caught.value)


@pytest.mark.parametrize("tags", [None, (), [], set(), frozenset(), iter(())])
def test_no_tags_are_no_tags(tags):
    assert check_tags(tags) == ()


def test_tags_come_once_each_in_their_order():
    assert check_tags(["b", "a", "b"]) == ("b", "a")
    assert check_tags(str(number % 32) for number in range(100)) == tuple(map(str, range(32)))


@pytest.mark.parametrize("tags", ["user:1", b"x", 5, 1.5, True])
def test_tags_that_are_no_list_are_refused(tags):
    with pytest.raises(KeyInvalid, match=f"list of str, got {type(tags).__name__}"):
        check_tags(tags)


def test_too_many_or_wrong_tags_are_refused():
    with pytest.raises(KeyInvalid, match="at most 32 tags, got 33"):
        check_tags([str(number) for number in range(33)])
    with pytest.raises(KeyInvalid, match="a tag must be str, got int"):
        check_tags(["a", 1])


def test_an_invalidation_may_name_more_tags_than_an_entry_has():
    many = [str(number) for number in range(MAX_INVALIDATED)]
    assert check_tags(many, limit=MAX_INVALIDATED) == tuple(many)
    with pytest.raises(KeyInvalid, match="one call takes at most 1000 tags, got 1001"):
        check_tags([*many, "one more"], limit=MAX_INVALIDATED)


@pytest.mark.parametrize(("ttl", "expected"), [(None, None), (0, 0.0), (0.0, 0.0), (1, 1.0), (0.01, 0.01), (MAX_TTL, MAX_TTL)])
def test_a_lifetime_that_can_be_kept_passes(ttl, expected):
    assert check_ttl(ttl) == expected
    assert expected is None or type(check_ttl(ttl)) is float


@pytest.mark.parametrize("ttl", [-1, -0.001, float("nan"), float("inf"), float("-inf"), MAX_TTL + 1, 10**30])
def test_a_lifetime_out_of_range_is_refused(ttl):
    with pytest.raises(TTLInvalid, match="from 0"):
        check_ttl(ttl)


def test_a_number_too_long_to_print_is_refused_as_well():
    for ttl in (10**5000, -(10**5000)):
        with pytest.raises(TTLInvalid, match="beyond 64 bits"):
            check_ttl(ttl)


@pytest.mark.parametrize("ttl", [True, False, "60", b"1", [], 1j, object()])
def test_a_lifetime_that_is_no_number_is_refused_with_its_type(ttl):
    with pytest.raises(TTLInvalid, match=f"got {type(ttl).__name__}"):
        check_ttl(ttl)


def test_infinity_is_shown_as_what_it_is():
    with pytest.raises(TTLInvalid, match=r"a ttl .* got inf; None is for ever"):
        check_ttl(float("inf"))


def test_a_stale_period_is_refused_under_its_own_name():
    assert (check_stale_ttl(None), check_stale_ttl(0), check_stale_ttl(5)) == (0.0, 0.0, 5.0)
    for stale, word in ((-1, "got -1; None is none"), ("5", "got str"), (float("inf"), "got inf")):
        with pytest.raises(TTLInvalid, match=f"^a stale_ttl must be .*{word}"):
            check_stale_ttl(stale)


@given(st.text(max_size=70))
def test_a_tenant_id_passes_exactly_when_the_rule_says_so(text):
    allowed = "abcdefghijklmnopqrstuvwxyz0123456789"
    good = 0 < len(text) <= 63 and text[0] in allowed and set(text) <= set(allowed + "-_")
    try:
        assert check_tenant(text) == text
        passed = True
    except TenantUnknown:
        passed = False
    assert passed is good
