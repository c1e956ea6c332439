"""Sets of keys: the `kid` names the key, and what a token brings along is not used."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from token_making import CLAIMS, SECRET, X, Y, b64, certificate, in_set, jwk_of, made, oct_of, verifier

from bridge.errors import (
    AlgorithmNotAllowedError,
    ConfigurationError,
    InvalidSignatureError,
    MalformedTokenError,
    UnknownKeyError,
)
from bridge.tokens import JwkSet


def test_the_kid_names_the_key():
    subject = in_set(jwk_of("rsa", "a"), jwk_of("rsa-other", "b"))
    assert subject.verify(made(kid="a")) == CLAIMS
    assert subject.verify(made(key="rsa-other", kid="b")) == CLAIMS
    with pytest.raises(InvalidSignatureError):
        subject.verify(made(kid="b"))
    for wrong in ("c", "", "A", "a "):
        with pytest.raises(UnknownKeyError):
            subject.verify(made(kid=wrong))


def test_a_token_without_kid_is_refused_by_a_set_even_of_one_key():
    with pytest.raises(UnknownKeyError, match="no `kid`"):
        in_set(jwk_of("rsa", "a")).verify(made())
    with pytest.raises(ConfigurationError, match="no key with a `kid`"):
        in_set(jwk_of("rsa"))
    with pytest.raises(UnknownKeyError):
        in_set(jwk_of("rsa"), jwk_of("rsa", "a")).verify(made(kid=""))


@pytest.mark.parametrize("kid", [None, 1, True, [], {}, ["a"]])
def test_a_kid_that_is_no_string(kid):
    for subject in (in_set(jwk_of("rsa", "a")), verifier()):
        with pytest.raises(MalformedTokenError, match="`kid`"):
            subject.verify(made(kid=kid))


def test_a_kid_that_stands_twice_in_the_set():
    twice = [
        (jwk_of("rsa", "a"), jwk_of("rsa-other", "a")),
        (jwk_of("rsa", "a"), jwk_of("rsa", "a")),
        (jwk_of("rsa", "a"), jwk_of("rsa", "a", use="enc")),
        (jwk_of("rsa", "a", use="enc"), jwk_of("rsa", "a")),
        (jwk_of("rsa", "a"), jwk_of("rsa-1024", "a"), jwk_of("P-256", "a")),
    ]
    for jwks in twice:
        subject = in_set(*jwks, jwk_of("rsa", "b"))
        with pytest.raises(UnknownKeyError, match="more than one"):
            subject.verify(made(kid="a"))
        assert subject.verify(made(kid="b")) == CLAIMS


def test_a_set_may_mix_public_families_but_the_key_decides_its_own():
    subject = verifier(JwkSet({"keys": [jwk_of("rsa", "r"), jwk_of("P-256", "e")]}), algorithms=("RS256", "ES256"))
    assert subject.verify(made(kid="r")) == CLAIMS
    assert subject.verify(made(alg="ES256", key="P-256", kid="e")) == CLAIMS
    with pytest.raises(AlgorithmNotAllowedError, match="RSA 2048 bits"):
        subject.verify(made(alg="ES256", key="P-256", kid="r"))
    with pytest.raises(AlgorithmNotAllowedError, match="EC P-256"):
        subject.verify(made(kid="e"))


def test_secrets_in_a_set_count_only_among_themselves():
    token = made(alg="HS256", key=SECRET, kid="s")
    alone = verifier(JwkSet({"keys": [oct_of(SECRET, "s")]}), algorithms=("HS256",))
    assert alone.verify(token) == CLAIMS
    mixed = verifier(JwkSet({"keys": [oct_of(SECRET, "s"), jwk_of("rsa", "r")]}), algorithms=("HS256", "RS256"))
    assert mixed.verify(made(kid="r")) == CLAIMS
    with pytest.raises(UnknownKeyError, match="among public keys"):
        mixed.verify(token)


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        {"keys": None},
        {"keys": {}},
        {"keys": [5]},
        {"keys": [[]]},
        {"keys": []},
        jwk_of("rsa", "a"),
        "",
        '{"keys":[],"keys":[]}',
        '{"keys":[}',
        {"keys": [jwk_of("P-256", "a")]},
        {"keys": [jwk_of("rsa", 5)]},
        {"keys": [jwk_of("rsa", "a", use="enc")]},
    ],
)
def test_sets_that_verify_nothing(document):
    with pytest.raises(ConfigurationError, match="key set: "):
        verifier(JwkSet(document))


def test_a_set_that_is_given_is_not_changed_afterwards():
    document = {"keys": [jwk_of("rsa", "a")]}
    subject = verifier(JwkSet(document))
    document["keys"][0].update(jwk_of("rsa-other", "a"))
    assert subject.verify(made(kid="a")) == CLAIMS


@pytest.mark.parametrize("name", ["jwk", "jku", "x5c", "x5u", "x5t", "typ", "cty", "https://example.com/x"])
def test_what_a_token_brings_along_is_not_used(name):
    values = {"jwk": jwk_of("rsa-other"), "x5c": [base64.b64encode(certificate(Encoding.DER)).decode()]}
    member = {name: values.get(name, "https://example.com/keys")}
    for subject, kid in ((verifier(), {}), (in_set(jwk_of("rsa", "a")), {"kid": "a"})):
        assert subject.verify(made(**kid, **member)) == CLAIMS
        with pytest.raises(InvalidSignatureError):
            subject.verify(made(key="rsa-other", **kid, **member))


def test_a_set_is_given_as_text_or_as_an_object():
    document = {"keys": [{"kty": "EC", "crv": "P-256", "x": b64(X), "y": b64(Y), "kid": "a"}]}
    for key_set in (document, json.dumps(document), json.dumps(document).encode()):
        assert JwkSet(key_set).key_for("a").kind == "EC P-256"


@pytest.mark.parametrize(
    ("jwks", "said"),
    [
        ([], ""),
        ([{"kty": "EC", "crv": "P-256", "x": b64(X), "y": b64(Y), "kid": "good"}], ""),
        ([{"kty": "b", "kid": "b\n"}], " (refused: `b\\n`: its `kty` `b` is not supported)"),
        (
            [{"kty": name, "kid": name} for name in "edcb"],
            " (refused: {})".format("; ".join(f"`{name}`: its `kty` `{name}` is not supported" for name in "bcd")),
        ),
    ],
)
def test_a_set_that_fits_no_algorithm_says_what_was_refused(jwks, said):
    with pytest.raises(ConfigurationError) as refusal:
        JwkSet({"keys": jwks}).check(["RS256", "PS256"])
    assert (
        str(refusal.value)
        == f"key set: no key with a `kid` fits RS256, PS256{said}: set `algorithms`, or give other keys"
    )
