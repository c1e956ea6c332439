"""Which tokens may be given to OPA as they are."""

from __future__ import annotations

import base64

import pytest

from bridge.tokens import may_be_sent_raw

HEADER = '{"alg":"RS256","kid":"k","typ":"JWT"}'


def token(header, payload):
    head, body = (base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode() for text in (header, payload))
    return f"{head}.{body}.AAAA"


@pytest.mark.parametrize(
    ("header", "payload", "may"),
    [
        (
            HEADER,
            '{"exp":1700000000,"policy":{"version":2,"devices":{"custom_data":{"n":1.5,"s":"1.50 \\" 1e2"}}}}',
            True,
        ),
        ('{"alg":"RS256"}', "{}", True),
        (HEADER, '{"policy":{"version":2.0}}', False),
        (HEADER, '{"policy":{"n":1.50}}', False),
        (HEADER, '{"policy":{"n":[1e2]}}', False),
        (HEADER, '{"policy":{"n":-0}}', False),
        (HEADER, '{"exp":1.7e9}', False),
        ('{"alg":"RS256","cty":"JWT"}', "{}", False),
        ('{"alg":"RS256","enc":"A128GCM"}', "{}", False),
        ('{"alg":"RS256","typ":1}', "{}", False),
        ('{"alg":"RS256","x":"y"}', "{}", False),
    ],
)
def test_a_token_goes_raw_only_where_opa_reads_it_alike(header, payload, may):
    assert may_be_sent_raw(token(header, payload)) is may
