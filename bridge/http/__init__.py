"""HTTP to one server: a `requests.Session` with a total deadline, strict framing, TLS, retries and credentials."""

from bridge.http.address import Address
from bridge.http.failures import Cause, HttpRequestError
from bridge.http.session import HttpClient, Reply
from bridge.http.settings import HttpSettings

__all__ = ["Address", "Cause", "HttpClient", "HttpRequestError", "HttpSettings", "Reply"]
