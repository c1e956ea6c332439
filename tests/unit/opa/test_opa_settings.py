"""Where an OPA may be and how it may be spoken to: each setting at its bounds."""

from __future__ import annotations

import ssl
import string
from contextlib import suppress

import pytest

from bridge.errors import ConfigurationError, InvalidResponseError, UnsupportedOpaVersionError, UsageError
from bridge.http.address import Address, parse_address
from bridge.http.settings import DEADLINE, MAX_ANSWER, HttpSettings, checked_deadline
from bridge.opa.paths import data_path, policy_path, quoted_path
from bridge.opa.version import OLDEST, is_new_enough, known_defect, require

PLAIN = string.ascii_letters + string.digits


def made(url="http://opa.example", **settings):
    usual = {"token": None, "ca": None, "client_certificate": None, "deadline": 5.0, "max_answer": 1}
    return HttpSettings.checked(url, **usual | settings)


# --- addresses


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://opa", ("http", "opa", 80, "")),
        ("https://opa", ("https", "opa", 443, "")),
        ("HTTPS://OPA.example:1", ("https", "opa.example", 1, "")),
        ("http://opa:65535/", ("http", "opa", 65_535, "")),
        ("http://opa:", ("http", "opa", 80, "")),
        ("http://[::1]:8181/x/", ("http", "::1", 8_181, "/x")),
        ("http://[fe80::1%25eth0]", ("http", "fe80::1%eth0", 80, "")),
        (f"http://opa/{PLAIN}._~-/b//", ("http", "opa", 80, f"/{PLAIN}._~-/b")),
        ("http://opa/.../v2/xv1/v1x", ("http", "opa", 80, "/.../v2/xv1/v1x")),
        ("http://opa/v1/x", ("http", "opa", 80, "/v1/x")),
        ("http://opa/v1/data/x/", ("http", "opa", 80, "/v1/data/x")),
        (
            "https://k8s/api/v1/namespaces/opa/services/http:opa:8181/proxy/",
            ("https", "k8s", 443, "/api/v1/namespaces/opa/services/http:opa:8181/proxy"),
        ),
        ("http://opa/a@b", ("http", "opa", 80, "/a@b")),
        ("http://opa/a%2Fb%2f", ("http", "opa", 80, "/a%2Fb%2f")),
        ("http://opa/a;b:c,d!$&'()*+=", ("http", "opa", 80, "/a;b:c,d!$&'()*+=")),
        ("http://opa//a//b", ("http", "opa", 80, "//a//b")),
        ("http://opa/a%2e", ("http", "opa", 80, "/a%2e")),
        ("unix:///run/opa.sock", ("unix", "localhost", 0, "")),
        ("http://a_b", ("http", "a_b", 80, "")),
    ],
)
def test_an_address(url, parts):
    address = parse_address(url)
    assert (address.scheme, address.host, address.port, address.prefix) == parts


@pytest.mark.parametrize(
    ("url", "text"),
    [
        *(
            (url, "printable ASCII")
            for url in (None, 1, b"http://opa", "", "http://op a", "http://opa\x7f", "http://opa\n")
        ),
        ("http://\u00f6pa", "printable ASCII"),
        *((url, "malformed") for url in ("http://[::1", "http://opa:x", "http://opa:65536", "http://opa:-1")),
        *(
            (url, "must start with")
            for url in ("opa", "ftp://opa", "//opa", "http:opa", "http://", "http:///x", "http://:1")
        ),
        *(
            (f"http://{url}", "no user, no query")
            for url in ("u@opa", "u:hunter2@opa", "@opa", "opa?", "opa/?x", "opa#", "opa/x#y")
        ),
        ("http://opa:0", "port 0"),
        *(
            (f"http://opa/{path}", "characters that RFC 3986 allows")
            for path in ("a|b", "a[b", "a%2", "a%2g", "a\\b", "a^b", "a`b", 'a"b', "a<b", "a{b")
        ),
        *(
            (f"http://opa/{path}", "no segments")
            for path in (".", "..", "a/../b", "a/./b", "%2e", "a/%2E%2e/b", ".%2e")
        ),
        *(
            (f"unix:{path}", "must name a socket by an absolute path")
            for path in ("", "//", "///", "//host/x", "///" + "x" * 103, "///x/", "///%00", "x")
        ),
        *(
            (f"http://opa/{path}", "without `/v1` or `/v1/data` at its end")
            for path in ("v1", "v1/", "x/v1", "v1/data", "x/v1/data/")
        ),
    ],
)
def test_what_is_no_address(url, text):
    with pytest.raises(ConfigurationError, match=text) as caught:
        parse_address(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_how_an_address_is_shown():
    assert str(Address("http", "opa", 80, "")) == "http://opa:80"
    assert str(Address("https", "::1", 8_181, "/x")) == "https://[::1]:8181/x"
    assert str(parse_address("http://[fe80::1%25lo]:8181")) == "http://[fe80::1%25lo]:8181"
    assert str(parse_address("unix:///run/o%20pa.sock")) == "unix:///run/o pa.sock"
    assert parse_address("unix:///run/opa.sock").origin == "http://localhost"


def test_addresses_are_values():
    assert len({parse_address("http://opa"), parse_address("http://opa:80/"), parse_address("https://opa")}) == 2
    with pytest.raises(AttributeError):
        parse_address("http://opa").host = "other"
    assert not hasattr(parse_address("http://opa"), "__dict__"), "nothing else can be put into it"


# --- settings


def test_the_fields_of_every_call():
    usual = {"Accept-Encoding": "identity", "User-Agent": "jwt-policy-bridge"}
    assert made().fields == {"Host": "opa.example", **usual}
    assert made(token="t").authorization("t") == {"Authorization": "Bearer t"}
    assert made().authorization(None) == {}
    for url, host in (
        ("unix:///run/opa.sock", "localhost"),
        ("http://opa.example:80", "opa.example"),
        ("http://opa.example:443", "opa.example:443"),
        ("https://opa.example:443", "opa.example"),
        ("https://opa.example:80", "opa.example:80"),
        ("http://[::1]", "[::1]"),
        ("http://[::1]:8181", "[::1]:8181"),
        ("http://[fe80::1%25eth0]:8181", "[fe80::1]:8181"),
    ):
        assert made(url, token="t").fields == {"Host": host, **usual}


@pytest.mark.parametrize("token", ["!", "~", PLAIN + string.punctuation])
def test_tokens(token):
    assert made(token=token).token.current() == token
    assert token not in repr(made(token=token)).replace(repr(made(token=None)), "")


@pytest.mark.parametrize("token", ["", " ", "a b", "a\n", "\x7f", "\u00e9", "a\r\nX: y", b"a", 1])
def test_what_is_no_token(token):
    with pytest.raises(ConfigurationError, match=r"^`token` must be"):
        made(token=token)


@pytest.mark.parametrize("max_answer", [0, -1, 1.0, True, None, "1"])
def test_what_is_no_size(max_answer):
    with pytest.raises(ConfigurationError, match=r"^`max_answer` must be"):
        made(max_answer=max_answer)


def test_sizes():
    assert [made(max_answer=size).max_answer for size in (1, 2, 10**12)] == [1, 2, 10**12]
    assert (MAX_ANSWER, DEADLINE) == (268_435_456, 5.0)


@pytest.mark.parametrize("seconds", [0, 0.0, -0.1, 86_400.1, float("nan"), float("inf"), True, None, "5", 1j])
def test_what_is_no_deadline(seconds):
    for error in (UsageError, ConfigurationError):
        with pytest.raises(error, match=r"^a deadline must be") as caught:
            checked_deadline(seconds, error)
        assert type(caught.value) is error
    with pytest.raises(UsageError) as caught:
        checked_deadline(seconds)
    assert type(caught.value) is UsageError
    with pytest.raises(ConfigurationError):
        made(deadline=seconds)


@pytest.mark.parametrize("seconds", [5e-324, 1, 0.5, 1.5, 86_400])
def test_deadlines(seconds):
    assert (checked_deadline(seconds), made(deadline=seconds).deadline) == (seconds, seconds)
    assert type(made(deadline=seconds).deadline) is float


def test_certificates_need_https(tmp_path):
    for settings in ({"ca": tmp_path}, {"client_certificate": (tmp_path, tmp_path)}):
        with pytest.raises(ConfigurationError, match="need a url that starts with `https://`"):
            made(**settings)
        with pytest.raises(ConfigurationError, match=f"^`{next(iter(settings))}`: "):
            made("https://opa", **settings)
    assert made().tls is None


def test_how_tls_is_spoken():
    context = made("https://opa").tls.context()
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.keylog_filename is None
    assert context.cert_store_stats()["x509_ca"] > 50, "those that requests brings"


def test_settings_that_were_checked_stay_as_they_are():
    with pytest.raises(AttributeError):
        made().token = "a b"
    assert not hasattr(made(), "__dict__"), "nothing else can be put into them"


# --- versions


def test_the_oldest_version_is_told():
    assert OLDEST == "1.20.1"


def test_which_characters_a_build_is_named_by():
    def taken(version):
        kept = set()
        for character in map(chr, range(128)):
            with suppress(InvalidResponseError):
                is_new_enough(version + character)
                kept.add(character)
        return kept

    assert taken("1.20.1-") == taken("1.20.1+") == taken("1.20.1-a+") == set(PLAIN + ".-")


@pytest.mark.parametrize(
    ("version", "is_new"),
    [
        ("1.20.1", True),
        ("v1.20.1", True),
        ("1.20.2", True),
        ("1.21.0", True),
        ("2.0.0", True),
        ("10.0.0", True),
        ("1.100.0", True),
        ("1.20.100", True),
        ("999999999.0.0", True),
        ("0.999999999.0", False),
        ("0.0.999999999", False),
        ("1.20.0", False),
        ("1.19.9", False),
        ("0.20.1", False),
        ("1.2.10", False),
        ("01.020.01", True),
        ("1.20.1+azAZ.09-x", True),
        ("1.20.2-azAZ.09-x", True),
        ("1.20.2-rc.1+b", True),
        ("1.20.1-azAZ.09-x", False),
        ("1.20.1-rc+b", False),
        ("1.20.1-0", False),
    ],
)
def test_which_version_is_new_enough(version, is_new):
    assert is_new_enough(version) is is_new
    if is_new:
        require(version)
    else:
        with pytest.raises(
            UnsupportedOpaVersionError, match=f"^opa {version.replace('+', '.')} is too old: .* is {OLDEST} "
        ):
            require(version)


@pytest.mark.parametrize(
    ("version", "has_defect"),
    [
        ("1.20.2", False),
        ("1.20.999", False),
        ("1.21.0", True),
        ("v1.21.0-rc.1+b", True),
        ("1.21.4", True),
        ("1.21.999", True),
        ("1.22.0", True),
        ("1.22.0-dev", True),
        ("1.22.1", False),
        ("1.22.4", False),
        ("2.21.0", False),
    ],
)
def test_which_version_has_a_known_defect(version, has_defect):
    text = known_defect(version)
    assert (text is not None) is has_defect
    if text is not None:
        assert text.endswith("upgrade it to 1.22.1 or newer")


@pytest.mark.parametrize(
    "version",
    [
        *(
            "",
            "1",
            "1.20",
            "1.20.",
            "1.20.1.1",
            "1.20.1-",
            "1.20.1+",
            "1.20.1-+b",
            "1.20.1-a_b",
            "1.20.1+a_b",
            "1.20.1-a+",
            "1.20.1+a+b",
        ),
        *("vv1.20.1", "V1.20.1", " 1.20.1", "1.20.1 ", "1.20.1\n", "1x20.1", "1.20x1", "-1.20.1", "1..1", ".20.1"),
        *(
            "1234567890.0.0",
            "1.1234567890.0",
            "1.0.1234567890",
            "\u0661.20.1",
            "1.\u0662.1",
            "1.20.\u0661",
            "1.20.1-\u00e9",
        ),
    ],
)
def test_what_is_no_version(version):
    with pytest.raises(InvalidResponseError, match=r"is no version of opa: is this the url of opa\?$"):
        known_defect(version)
    with pytest.raises(InvalidResponseError, match=r"is no version of opa: is this the url of opa\?$"):
        require(version)


def test_how_much_of_what_is_no_version_is_shown():
    with pytest.raises(InvalidResponseError) as caught:
        is_new_enough("\n" + "x" * 39)
    assert str(caught.value) == r"`\n" + "x" * 39 + "` is no version of opa: is this the url of opa?"
    with pytest.raises(InvalidResponseError) as caught:
        is_new_enough("x" * 41)
    assert str(caught.value) == "`" + "x" * 40 + "...` is no version of opa: is this the url of opa?"


# --- paths


@pytest.mark.parametrize("name", ["a", "_", "Z", "z9", "a-", "a_b-C", PLAIN[:52] + "_-0123456789", "a" * 200])
def test_simple_names(name):
    assert data_path((name,)) == f"/v1/data/{name}"
    assert data_path([name, "x"]) == f"/v1/data/{name}/x"
    assert policy_path(f"{name}/{name}") == f"/v1/policies/{name}/{name}"


@pytest.mark.parametrize(
    "name",
    ["", "0", "9a", "-a", ".a", "a.b", "a b", "a/b", "a\n", "\n", "\u00e9", "a\u00e9", "a%", "a" * 201, 1, None, b"a"],
)
def test_names_that_are_not_simple(name):
    for path in ((name,), ("a", name), (name, "a")):
        with pytest.raises(UsageError, match="is no simple name for a path"):
            data_path(path)


def test_which_ascii_characters_names_are_made_of():
    def taken(path, before):
        kept = set()
        for character in map(chr, range(128)):
            with suppress(UsageError):
                path(before + character)
                kept.add(character)
        return kept

    assert taken(lambda name: data_path((name,)), "") == set(string.ascii_letters + "_")
    assert taken(lambda name: data_path((name,)), "a") == set(PLAIN + "_-")
    assert taken(policy_path, "") == set(PLAIN + "_-")
    assert taken(policy_path, "a") == set(PLAIN + "_.-")


def test_paths_of_data():
    assert data_path((), root=True) == "/v1/data"
    assert data_path(("a",), root=True) == "/v1/data/a"
    with pytest.raises(UsageError, match="the root of all documents"):
        data_path(())
    for root in (False, True):
        with pytest.raises(UsageError, match="not a string"):
            data_path("a", root=root)
    with pytest.raises(UsageError, match=r"^`" + "1" * 80 + r"\.\.\.` is no simple name"):
        data_path(("1" * 81,))
    with pytest.raises(UsageError, match=r"^`" + "1" * 80 + "` is no simple name"):
        data_path(("1" * 80,))


@pytest.mark.parametrize("part", ["a", "0", "-", "_", "9.rego", "a..b", "a.-_", PLAIN, "a" * 200])
def test_parts_of_a_policy_id(part):
    assert policy_path(part) == f"/v1/policies/{part}"
    assert policy_path(f"x/{part}") == f"/v1/policies/x/{part}"


@pytest.mark.parametrize("part", ["", ".", "..", ".a", "a b", "a\n", "\u00e9", "a\u00e9", "a%2f", "a" * 201])
def test_what_is_no_policy_id(part):
    for policy_id in (part, f"x/{part}", f"{part}/x"):
        with pytest.raises(UsageError, match="is no simple policy id"):
            policy_path(policy_id)


def test_other_types_are_no_policy_ids():
    for policy_id in (None, 1, ("a",), b"a"):
        with pytest.raises(UsageError, match="is no simple policy id"):
            policy_path(policy_id)
    for length, shown in ((80, "." * 80), (81, "." * 80 + "...")):
        with pytest.raises(UsageError) as caught:
            policy_path("." * length)
        assert str(caught.value) == f"`{shown}` is no simple policy id"


def test_paths_of_what_others_have_put_there():
    assert quoted_path("data", ("a", "b")) == "/v1/data/a/b"
    assert quoted_path("policies", ("a/b.rego",)) == "/v1/policies/a%2Fb.rego"
    assert (
        quoted_path("data", ("a/b", "..", "1", " ?#%\n", "\u00e9")) == "/v1/data/a%2Fb/%2E%2E/1/%20%3F%23%25%0A/%C3%A9"
    )
    assert quoted_path("data", (".", "...")) == "/v1/data/%2E/..."
    for names in ((), ("",), ("a", "")):
        with pytest.raises(UsageError, match="an empty name"):
            quoted_path("data", names)
    with pytest.raises(UsageError, match="unpaired surrogate"):
        quoted_path("data", ("\ud800",))
