"""What a caller can rely on and a person is told: codes, texts, and values that nobody can change."""

from __future__ import annotations

import dataclasses
import json
import random
import threading
from fractions import Fraction

import pytest
from token_making import CLAIMS, EXP, NOW, SECRET, b64, in_set, jwk_of, made, pem, public, verifier

from bridge.errors import (
    AlgorithmNotAllowedError,
    ExpiredTokenError,
    ImmatureTokenError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    InvalidTokenError,
    KeysUnavailableError,
    MalformedTokenError,
    MissingRequiredClaimError,
    UnknownKeyError,
    UsageError,
)
from bridge.escapes import quoted, quoted_setting
from bridge.tokens import (
    JwkSet,
    KeySource,
    StaticKey,
    TokenVerifier,
    VerificationKey,
    jwk,
    jwks_file,
    jwks_url,
    jws,
)

# What a caller can rely on


def test_every_kind_of_error_has_a_code_of_its_own():
    codes = {
        MalformedTokenError: "malformed",
        AlgorithmNotAllowedError: "algorithm",
        InvalidSignatureError: "signature",
        UnknownKeyError: "unknown_key",
        ExpiredTokenError: "expired",
        ImmatureTokenError: "not_yet_valid",
        InvalidAudienceError: "audience",
        InvalidIssuerError: "issuer",
        MissingRequiredClaimError: "missing_claim",
    }
    assert {kind: kind.code for kind in codes} == codes
    assert all(issubclass(kind, InvalidTokenError) for kind in codes)
    assert not issubclass(KeysUnavailableError, InvalidTokenError)


def test_neither_token_nor_secret_is_ever_shown():
    secret = b64(SECRET)
    subject = verifier(StaticKey.from_secret(secret.encode()), algorithms=("HS256",))
    assert secret[:8] not in repr(subject)
    assert secret[:8] not in repr(subject.source.key_for(None))
    other = b"x" * 32
    tokens = [
        made(alg="HS256", key=other),
        made(alg="HS256", key=secret.encode())[:-2],
        made({"exp": 1}, alg="HS256", key=secret.encode()),
        made("{", alg="HS256", key=secret.encode()),
        made(alg="HS256", key=other) + "!",
        made(alg="HS256", key=other) + ".x",
    ]
    for token in tokens:
        with pytest.raises(InvalidTokenError) as refused:
            subject.verify(token)
        shown = f"{refused.value} {refused.value.args} {refused.value.__cause__} {refused.value.__suppress_context__}"
        assert not any(segment in shown for segment in token.split(".") if len(segment) > 4)
        assert secret not in shown
        assert shown.endswith("None True") or refused.value.__context__ is None


def test_texts_from_a_token_are_shortened_and_harmless():
    nasty = "x\n\x1b[31m`" + "y" * 500
    subject = verifier(JwkSet({"keys": [jwk_of("rsa", "a")]}), issuer="me")
    tokens = [
        made(kid=nasty),
        made(header={"alg": nasty, "kid": "a"}),
        made({**CLAIMS, "iss": nasty}, kid="a"),
    ]
    for token in tokens:
        with pytest.raises(InvalidTokenError) as refused:
            subject.verify(token)
        text = str(refused.value)
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 150
        assert text.count("`") % 2 == 0
        assert "y" * 20 in text


def test_a_verifier_is_immutable_and_says_what_it_is():
    subject = verifier(audience="a", issuer="b", leeway=0.1, required=["sub", "sub"])
    assert repr(subject) == (
        "TokenVerifier(source=StaticKey(RSA 2048 bits), algorithms=('RS256',), audience=('a',), issuer='b',"
        " leeway=Fraction(1, 10), required=('sub',))"
    )
    assert subject.leeway == Fraction(1, 10)
    for name in ("source", "algorithms", "leeway", "_clock", "anything"):
        with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
            setattr(subject, name, None)
    algorithms = ["RS256"]
    subject = verifier(algorithms=algorithms)
    algorithms.append("PS256")
    with pytest.raises(AlgorithmNotAllowedError):
        subject.verify(made(alg="PS256"))


def test_a_source_of_ones_own():
    class Source:
        def check(self, algorithms):
            self.algorithms = tuple(algorithms)

        def key_for(self, kid):
            self.kid = kid
            return VerificationKey.of(public("rsa"))

    source = Source()
    assert isinstance(source, KeySource)
    assert verifier(source).verify(made(kid="a")) == CLAIMS
    assert (source.algorithms, source.kid) == (("RS256",), "a")
    source.key_for = lambda _: public("rsa")
    with pytest.raises(UsageError, match="something else than a `VerificationKey`"):
        verifier(source).verify(made())


def test_many_threads_at_once():
    subject = verifier(JwkSet({"keys": [jwk_of("rsa", "a"), jwk_of("rsa-other", "b")]}))
    good, bad = made(kid="a"), made(kid="b")
    wrong = []

    def work():
        for _ in range(50):
            if subject.verify(good) != CLAIMS:
                wrong.append("denied")
            try:
                subject.verify(bad)
            except InvalidSignatureError:
                continue
            wrong.append("allowed")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_mangled_tokens_give_our_errors_and_never_claims():
    rng = random.Random(20_240_101)
    key_set = JwkSet({"keys": [jwk_of("rsa", "r"), jwk_of("P-256", "e"), jwk_of("Ed25519", "o")]})
    subjects = [
        verifier(key_set, algorithms=("RS256", "PS256", "ES256", "EdDSA", "HS256")),
        verifier(StaticKey.from_secret(SECRET), algorithms=("HS256",)),
        verifier(pem("P-256"), algorithms=("ES256",)),
    ]
    seeds = [
        made(kid="r"),
        made(alg="ES256", key="P-256", kid="e"),
        made(alg="EdDSA", key="Ed25519", kid="o"),
        made(alg="HS256", key=SECRET, kid="r"),
    ]
    alphabet = 'ABCyz019-_.=+/ \n\0é\u20ac\ud800{}"'
    values = ["RS256", "none", "ES256", "HS256", "EdDSA", "", None, 5, [], {}, "r", "e", "o", "\x00", True, 1e300]

    def mangled(token):
        kind = rng.randrange(4)
        if kind == 0:
            at = rng.randrange(len(token))
            return token[:at] + rng.choice(alphabet) + token[at + rng.randrange(3) :]
        head, body, signature = token.split(".")
        if kind == 1:
            header = {"alg": rng.choice(values), "kid": rng.choice(values), rng.choice(["crit", "b64", "jwk", "x"]): 1}
            return f"{b64(json.dumps(header))}.{body}.{signature}"
        if kind == 2:
            return f"{head}.{body}.{b64(rng.randbytes(rng.choice([0, 1, 32, 63, 64, 65, 256, 257])))}"
        return f"{head}.{b64(rng.randbytes(rng.randrange(40)))}.{signature}"

    accepted = 0
    for _ in range(3_000):
        seed = rng.choice(seeds)
        token = mangled(seed)
        try:
            rng.choice(subjects).verify(token)
        except InvalidTokenError:
            continue
        else:
            assert token in seeds
            accepted += 1
    assert accepted < 300


# What a person is told


def refusal(token, subject=None):
    with pytest.raises(InvalidTokenError) as refused:
        (subject or verifier()).verify(token)
    text = str(refused.value)
    assert "--" not in text  # options are the command line's business
    assert text.isprintable()
    assert len(text) < 400
    return text


@pytest.mark.parametrize("text", ["", " ", "\n", "\u00a0\u2003"])
def test_told_of_an_empty_token(text):
    assert refusal(text) == "the token is empty"


@pytest.mark.parametrize(
    ("around", "complaint"),
    [
        ("{}\n", "ends with white space, such as the line feed of a file,"),
        ("{}\u00a0", "ends with white space,"),
        (" {}", "begins with white space,"),
        ("Bearer {}", "begins with `Bearer `, which is a part of the HTTP header"),
        ("bearer {}", "begins with `Bearer `,"),
    ],
)
def test_told_of_what_was_copied_along(around, complaint):
    token = made()
    text = refusal(around.format(token))
    assert complaint in text
    assert text.endswith(": take it off")
    assert not any(segment in text for segment in token.split("."))


def test_told_of_the_segments():
    rest = "not 3 with dots between them; is it a whole token?"
    assert refusal("x") == f"the token has 1 segment, {rest}"
    assert refusal("a.b") == f"the token has 2 segments, {rest}"
    assert refusal("a.b.c.d") == f"the token has 4 segments, {rest}"
    assert refusal("a.b.c.d.e.f") == f"the token has 6 segments, {rest}"


def test_told_which_algorithms_are_accepted():
    subject = verifier(algorithms=("RS384", "PS256"))
    assert (
        refusal(made(), subject) == "the token's algorithm `RS256` is not accepted, only RS384, PS256: set `algorithms`"
    )


@pytest.mark.parametrize(
    ("aud", "complaint"),
    [
        ("b", "the token is for another audience: `b`"),
        (["b", "c"], "the token is for another audience: `b`, `c`"),
        (["b"] * 6, "the token is for another audience: `b`, `b`, `b` and 3 more"),
        ([], "the token is for another audience: no named audience"),
        ("x" * 1000, f"the token is for another audience: `{'x' * 40}...`"),
        ("\x1b[2J`\u202e", "the token is for another audience: `\\x1b[2J'\\u202e`"),
    ],
)
def test_told_which_audience_a_token_is_for(aud, complaint):
    assert (
        refusal(made({**CLAIMS, "aud": aud}), verifier(audience="a"))
        == f"{complaint}; if it is for this service, set `audience`"
    )


@pytest.mark.parametrize(("aud", "complaint"), [("b", "`b`"), (["b", 5], "`b`"), (5, "no named audience")])
def test_told_which_audience_a_token_is_for_where_none_is_configured(aud, complaint):
    assert (
        refusal(made({**CLAIMS, "aud": aud}))
        == f"the token is for {complaint}, and no audience is configured: set `audience`"
    )


@pytest.mark.parametrize(
    ("claims", "leeway", "complaint"),
    [
        (f'{{"exp":{NOW}}}', 0, "the token has expired: its `exp` was 0 seconds ago; get a new one"),
        (f'{{"exp":{NOW - 1}}}', 0, "the token has expired: its `exp` was 1 second ago; get a new one"),
        (f'{{"exp":{NOW - 1}.5}}', 0, "the token has expired: its `exp` was 1 second ago; get a new one"),
        (f'{{"exp":{NOW - 5000}}}', 10, "the token has expired: its `exp` was 5,000 seconds ago; get a new one"),
        (
            '{"exp":-1e300}',
            0,
            "the token has expired: its `exp` was more than 1,000,000,000,000 seconds ago; get a new one",
        ),
        (
            f'{{{EXP},"nbf":{NOW + 12}}}',
            5,
            "the token's `nbf` is in the future, by 12 seconds; set the clocks, or a `leeway`",
        ),
        (
            f'{{{EXP},"iat":{NOW}.25}}',
            0,
            "the token's `iat` is in the future, by 1 second; set the clocks, or a `leeway`",
        ),
    ],
)
def test_told_by_how_much_a_token_is_out_of_its_time(claims, leeway, complaint):
    assert refusal(made(claims), verifier(leeway=leeway)) == complaint


def test_told_what_to_do_about_a_token_without_kid():
    text = refusal(made(), in_set(jwk_of("rsa", "a")))
    assert text.endswith("give the one key of its issuer in PEM, not the set")


# What is quoted


@pytest.mark.parametrize("size", [40, 41])
def test_what_a_token_says_is_quoted_short(size):
    assert quoted("x" * size) == "`" + "x" * 40 + ("..." if size > 40 else "") + "`"
    assert quoted("a`b\n'\"é\x00") == "`a'b\\n\\'\"é\\x00`"


@pytest.mark.parametrize("size", [500, 501])
def test_what_was_configured_is_quoted_long(size):
    assert quoted_setting("x" * size) == "`" + "x" * 500 + ("..." if size > 500 else "") + "`"
    assert quoted_setting(5) == "`5`"


# Values that nobody can change


def test_what_keys_and_tokens_are_kept_in_cannot_be_changed():
    kinds = [
        jws.CompactJws,
        jwk.KeySet,
        jwks_file._Read,
        jwks_url._State,
        VerificationKey,
        StaticKey,
        TokenVerifier,
    ]
    settings = {kind.__name__: kind.__dataclass_params__ for kind in kinds}
    assert all(made.frozen and "__slots__" in vars(kind) for kind, made in zip(kinds, settings.values(), strict=True))
    assert [name for name, made in settings.items() if not made.eq] == ["VerificationKey", "TokenVerifier"]
    assert [name for name, made in settings.items() if not made.repr] == ["StaticKey"]
    assert [name for name, made in settings.items() if not made.init] == ["TokenVerifier"]
