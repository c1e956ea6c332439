"""What rule sets demand of the claims of a raw token: times, audience, issuer, required claims, exact numbers."""

import json

import pytest
import requests
from rego_token_rules import (
    CLAIMS,
    DAY,
    INVALID,
    MATCHED,
    NOW,
    POLICY,
    OpaRules,
    assert_invalid,
    assert_valid,
    having,
    shown,
    token,
)


@pytest.fixture(scope="module")
def rules(start_opa, tmp_path_factory):
    started = OpaRules(start_opa, tmp_path_factory)
    yield started
    started.stop()


# --- time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exp", [NOW + DAY, NOW + DAY + 0.25, 1e300, 10**39, 99999999999], ids=shown)
def test_exp_in_the_future_is_valid(rules, exp):
    assert_valid(rules(), having(exp=exp))


@pytest.mark.parametrize(
    "exp",
    [NOW - 1, NOW - 0.5, 0, -1, -1e300, 1e-300, "", str(NOW + DAY), True, False, [], [NOW + DAY], {}],
    ids=shown,
)
def test_exp_in_the_past_or_of_another_kind_is_invalid(rules, exp):
    assert_invalid(rules(), having(exp=exp))


@pytest.mark.parametrize("claims", [{"policy": POLICY}, {**CLAIMS, "exp": None}, {"EXP": NOW + DAY, "policy": POLICY}])
def test_exp_must_be_there(rules, claims):
    assert_invalid(rules(), token(claims))


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("begin", [0, -1, NOW - 1, NOW - 0.5, -1e300], ids=shown)
def test_a_beginning_in_the_past_is_valid(rules, name, begin):
    assert_valid(rules(), having(**{name: begin}))


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize(
    "begin", [NOW + DAY, NOW + DAY + 0.5, 1e300, "", "0", str(NOW), True, False, [], [0], {}], ids=shown
)
def test_a_beginning_in_the_future_or_of_another_kind_is_invalid(rules, name, begin):
    assert_invalid(rules(), having(**{name: begin}))


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_beginning_of_null_is_invalid(rules, name):
    assert_invalid(rules(), token({**CLAIMS, name: None}))


@pytest.mark.parametrize("exp", [NOW + DAY, NOW + DAY + 0.25], ids=shown)
def test_a_token_ends_at_the_nanosecond(rules, exp):
    end = int(exp * 1000) * 1_000_000
    assert rules().at(end - 1, having(exp=exp)) == MATCHED
    assert rules().at(end, having(exp=exp)) == INVALID


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("begin", [NOW - DAY, NOW - DAY + 0.25], ids=shown)
def test_a_token_begins_at_the_nanosecond(rules, name, begin):
    start = int(begin * 1000) * 1_000_000
    assert rules().at(start, having(**{name: begin})) == MATCHED
    assert rules().at(start - 1, having(**{name: begin})) == INVALID


# --- audience, issuer, required claims ----------------------------------------------------------------------------


@pytest.mark.parametrize("aud", ["https://cobrowse.io", ["https://cobrowse.io"], ["x", "https://cobrowse.io", "y"]])
def test_the_audience_is_or_is_among_them(rules, aud):
    assert_valid(rules(audience=("https://cobrowse.io",)), having(aud=aud))


@pytest.mark.parametrize(
    "aud",
    [
        None,
        "",
        "https://cobrowse.io/",
        "HTTPS://cobrowse.io",
        "https://cobrowse.i",
        [],
        [""],
        ["x"],
        [["https://cobrowse.io"]],
        ["https://cobrowse.io", 1],
        [None, "https://cobrowse.io"],
        0,
        True,
        {},
        {"https://cobrowse.io": True},
    ],
    ids=shown,
)
def test_another_audience_is_refused(rules, aud):
    assert_invalid(rules(audience=("https://cobrowse.io",)), having(aud=aud))


def test_an_audience_of_null_is_refused(rules):
    assert_invalid(rules(audience=("https://cobrowse.io",)), token({**CLAIMS, "aud": None}))
    assert_invalid(rules(), token({**CLAIMS, "aud": None}))


@pytest.mark.parametrize("aud", ["https://cobrowse.io", "", [], [""], ["x"], 0, False, {}], ids=shown)
def test_any_audience_is_refused_where_none_is_configured(rules, aud):
    assert_valid(rules(), having())
    assert_invalid(rules(), having(aud=aud))


def test_one_of_two_audiences_is_enough(rules):
    mine = rules(audience=("a", "b"))
    for aud in ("a", "b", ["a"], ["b"], ["a", "b"], ["c", "b", "a"]):
        assert_valid(mine, having(aud=aud))
    for aud in ("c", "ab", ["c"], [], None, ["a", "b", 0]):
        assert_invalid(mine, having(aud=aud))


def test_the_issuer_is_the_configured_string(rules):
    mine = rules(issuer="license")
    assert_valid(mine, having(iss="license"))
    for iss in (None, "", "License", "license ", ["license"], {"license": 1}, 0, True, []):
        assert_invalid(mine, having(iss=iss))
    assert_invalid(mine, token({**CLAIMS, "iss": None}))


@pytest.mark.parametrize("iss", ["license", "", 0, True, ["license"], {}], ids=shown)
def test_the_issuer_is_not_looked_at_where_none_is_configured(rules, iss):
    assert_valid(rules(), having(iss=iss))


def test_required_claims_are_there(rules):
    mine = rules(required=("sub", "iat"))
    assert_valid(mine, having(iat=NOW - 1))
    assert_valid(mine, having(iat=NOW - 1, sub=False))
    assert_valid(mine, token({**CLAIMS, "iat": NOW - 1, "sub": None}))
    for made in (having(), having(iat=NOW - 1, sub=None), having(sub=None)):
        assert_invalid(mine, made)


# --- numbers that nobody can rewrite ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", ["1.50", "2.0", "0.1234567890123456780", "1e10", "1.5e10", "120.82399798385188e220", "0.0", "1" * 41]
)
def test_a_policy_with_a_number_that_opa_compares_inexactly_decides_nothing(rules, number):
    claims = json.dumps({**CLAIMS, "policy": {"version": 2, "devices": {"custom_data": {"n": "NUMBER"}}}})
    made = token(claims.replace('"NUMBER"', number))
    resource = json.loads(f'{{"id": "device1", "custom_data": {{"n": {number}}}}}')
    assert rules().decision(made, resource) == INVALID


@pytest.mark.parametrize("number", ["0", "-7", "10", "1.5", "-0.25", "15e3", "1e301", "0.1", "9007199254740993", "0.5"])
def test_a_policy_with_exact_numbers_decides(rules, number):
    claims = json.dumps({**CLAIMS, "policy": {"version": 2, "devices": {"custom_data": {"n": "NUMBER"}}}})
    made = token(claims.replace('"NUMBER"', number))
    question = '{"input": {"token": "%s", "type": "devices", "resource": {"id": "d", "custom_data": {"n": %s}}}}'
    mine = rules()
    url = f"{mine.url}/v1/data/{mine.root.replace('.', '/')}/decision"
    for value, reason in ((number, "matched"), ("8", "constraint_failed"), (f'"{number}"', "constraint_failed")):
        reply = requests.post(url, data=question % (made, value), timeout=60)
        assert reply.json()["result"]["reason"] == reason


def test_digits_in_the_strings_of_a_policy_are_no_numbers(rules):
    text = 'a"1.50,\\"2.0,'
    made = having(policy={"version": 2, "devices": {"custom_data": {text: text, "1.50": ":2.0,"}}})
    assert rules().decision(made, {"id": "d", "custom_data": {text: text, "1.50": ":2.0,"}}) == MATCHED
    assert rules().decision(made, {"id": "d", "custom_data": {text: text, "1.50": ":2,"}})["allow"] is False


def test_numbers_outside_the_policy_may_be_written_anyhow(rules):
    assert_valid(rules(), token(json.dumps(CLAIMS).replace(str(NOW + DAY), f"{NOW + DAY}.0")))
