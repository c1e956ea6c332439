"""HTTP to one server: a `requests.Session` with a total deadline, strict framing, TLS, retries and credentials.

`bridge.http.session` has the client. It is imported where one is made, because `requests` takes long to import.
"""

from bridge.http.address import Address
from bridge.http.outcome import Cause, HttpRequestError, Reply
from bridge.http.settings import HttpSettings

__all__ = ["Address", "Cause", "HttpRequestError", "HttpSettings", "Reply"]
