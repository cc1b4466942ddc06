"""Physical names: in form, apart for whatever is apart, and hiding what they must."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caching_core.tenancy import MAX_NAMESPACE, NameScheme, check_namespace, physical_name, tenant_prefix

KEY = b"k" * 32

tenants = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,5}", fullmatch=True)
# Characters that mean something in a name come often.
tricky = st.text(alphabet=":{}~%@abA3 \\#\n\0é.-", min_size=1, max_size=8)
namespaces = (tricky | st.text(min_size=1, max_size=60)).filter(lambda text: text[0] != "@" and text.isprintable())
keys = (
    tricky
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
    | st.text("ab:", min_size=195, max_size=205)
)
places = st.tuples(tenants, namespaces, keys)


@given(places, places)
@example(("a", "b", "c"), ("a", "b:c", "c"))
@example(("a", "n", "b:c"), ("a", "n:b", "c"))
@example(("acm", "e", "orders"), ("acme", "e", "orders"))
@example(("a", "n", "x" * 201), ("a", "n", "x" * 202))
@example(("a", "~", "k"), ("a", "%7E", "k"))
def test_no_two_entries_share_a_name(one, other):
    first, second = physical_name(*one, name_key=KEY), physical_name(*other, name_key=KEY)
    assert (first == second) is (one == other)


@given(places)
def test_a_name_is_safe_text_in_its_tenant_s_part(place):
    tenant, namespace, key = place
    scheme = NameScheme(tenant, namespace, KEY, hashed=False)
    name, is_key_hidden = scheme.of(key)
    assert re.fullmatch(r"cc:\{[a-z0-9_-]+\}:[A-Za-z0-9._@%~-]+:[!-z|~]+", name)
    assert name.startswith(scheme.prefix)
    assert scheme.prefix.startswith(tenant_prefix(tenant))
    assert len(name) <= 3 + 65 + 1 + 121 + 1 + 200
    assert scheme.key_of(name) == (None if is_key_hidden else key)
    assert is_key_hidden is (scheme.hashed(key) == name)


def test_a_key_cannot_pose_as_the_hash_of_another():
    scheme = NameScheme("a", "n", KEY, hashed=False)
    hashed = scheme.of("x y")[0]
    assert scheme.of(hashed.rpartition(":")[2])[0] != hashed


@pytest.mark.parametrize("key", ["a", "user:123", "a|b", "x~y", "*?[]", "a" * 200, "<script>", '"'])
def test_plain_keys_stand_as_they_are(key):
    assert NameScheme("acme", "default", KEY, hashed=False).of(key) == (f"cc:{{acme}}:default:{key}", False)


@pytest.mark.parametrize("key", ["a b", "~a", "{a", "a}", "a\\b", "é", "a\n", "\x7f", "a" * 201, "\0", "\U0001f600"])
def test_unsafe_and_long_keys_are_hidden(key):
    name, is_key_hidden = NameScheme("acme", "default", KEY, hashed=False).of(key)
    assert is_key_hidden
    assert re.fullmatch(r"cc:\{acme\}:default:~[0-9a-f]{32}", name)


def test_a_hashed_scheme_hides_every_key_and_tag():
    scheme, plain = NameScheme("acme", "n", KEY, hashed=True), NameScheme("acme", "n", KEY, hashed=False)
    assert scheme.of("user") == (plain.hashed("user"), True)
    assert scheme.tag("user") == plain.hashed_tag("user") != "user"
    assert plain.tag("user") == "user"


def test_a_hash_depends_on_name_key_namespace_and_kind():
    def hashes(name_key: bytes, namespace: str) -> tuple[str, str]:
        scheme = NameScheme("a", namespace, name_key, hashed=True)
        return scheme.of("k")[0].rpartition("~")[2], scheme.tag("k").removeprefix("~")

    first, other_key, other_space = hashes(KEY, "n"), hashes(b"x" * 32, "n"), hashes(KEY, "m")
    assert len({*first, *other_key, other_space[0], hashes(b"", "n")[0]}) == 6
    assert other_space[1] == first[1]


@given(st.text(alphabet="~a0", min_size=1, max_size=40), st.text(alphabet="~a0", min_size=1, max_size=40))
def test_no_two_tags_share_a_text(one, other):
    scheme = NameScheme("a", "n", KEY, hashed=False)
    assert (scheme.tag(one) == scheme.tag(other)) is (one == other)
    assert scheme.tag(scheme.hashed_tag(one)) != scheme.hashed_tag(one)


def test_the_longest_namespaces_stay_apart():
    long = ["é" * MAX_NAMESPACE, "é" * (MAX_NAMESPACE - 1) + "è", "x" * MAX_NAMESPACE]
    prefixes = {NameScheme("a", check_namespace(namespace), KEY, hashed=False).prefix for namespace in long}
    assert len(prefixes) == 3
    assert max(map(len, prefixes)) <= 8 + 121


def test_a_name_of_another_place_gives_no_key():
    scheme = NameScheme("a", "n", KEY, hashed=False)
    assert scheme.key_of("cc:{b}:n:k") is None
    assert scheme.key_of(scheme.prefix) is None
    assert scheme.key_of("cc:{a}:n2:k") is None
