"""Certificate authorities and client certificates; the files are read again when they change."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, TypeAlias

from bridge.errors import ConfigurationError, UsageError
from bridge.files import CERTIFICATE_BYTES, refuse_unbounded_file
from bridge.http.credentials import identity

if TYPE_CHECKING:
    import ssl

Path: TypeAlias = str | PathLike[str]

ClientCertificate: TypeAlias = tuple[Path, Path]


class Tls:
    """The TLS settings of new connections; threads may share it.

    Args:
        ca: A PEM file with the only certificate authorities to trust; None trusts those that `requests` brings.
        client_certificate: PEM files of the certificate with its chain, and of its key without a passphrase.

    Raises:
        ConfigurationError: A file cannot be read, or does not hold what it should.
    """

    def __init__(self, ca: Path | None, client_certificate: ClientCertificate | None) -> None:
        self._ca = ca
        self._certificate = client_certificate
        self._last = (self._identities(), tls_context(ca, client_certificate))

    def context(self) -> ssl.SSLContext:
        """Return the settings for a new connection, with the files read again if they have changed.

        Raises:
            ConfigurationError: A file has changed and cannot be used. The old settings are not used in its place.
        """
        now, last = self._identities(), self._last
        if now != last[0]:
            last = self._last = (now, tls_context(self._ca, self._certificate))  # replaced whole, so no lock is needed
        return last[1]

    def _identities(self) -> list[tuple[int, ...] | None]:
        files = (self._ca, *(self._certificate if isinstance(self._certificate, tuple) else ()))
        return [None if file is None else identity(file) for file in files]


def tls_context(ca: Path | None, client_certificate: ClientCertificate | None) -> ssl.SSLContext:
    """Return settings that require a certificate for the server's host, and TLS 1.2 or newer; arguments as for `Tls`.

    Raises:
        ConfigurationError: A file cannot be read, or does not hold what it should.
    """
    import ssl  # noqa: PLC0415 - it and `requests` take long to import

    from requests.utils import DEFAULT_CA_BUNDLE_PATH  # noqa: PLC0415

    from bridge.http.sockets import TimedTlsSocket  # noqa: PLC0415

    # ssl.create_default_context would read the environment, for a key log.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TimedTlsSocket
    context.set_alpn_protocols(["http/1.1"])
    try:
        if ca is not None:
            refuse_unbounded_file(ca, limit=CERTIFICATE_BYTES, what="certificates in PEM")
        context.load_verify_locations(cafile=DEFAULT_CA_BUNDLE_PATH if ca is None else ca)
    except (OSError, ValueError, TypeError, UsageError) as error:
        raise ConfigurationError(
            f"`ca`: no certificate authorities can be read from `{ca}`: "
            + _reason(error, "name a PEM file of certificates by `ca`")
        ) from None
    if client_certificate is not None:
        _load_certificate(context, client_certificate)
    return context


def _load_certificate(context: ssl.SSLContext, files: ClientCertificate) -> None:
    if not isinstance(files, tuple) or len(files) != 2:  # noqa: PLR2004 - a certificate and its key
        raise ConfigurationError("`client_certificate` must be two files: the certificate and its key")
    certificate, key = files
    try:
        for file in files:
            refuse_unbounded_file(file, limit=CERTIFICATE_BYTES, what="a certificate or a key in PEM")
        # OpenSSL would ask for a passphrase on the terminal, which a service has not.
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except (OSError, ValueError, TypeError, UsageError) as error:
        raise ConfigurationError(
            f"`client_certificate`: `{certificate}` with the key `{key}` cannot be used: "
            + _reason(error, "name PEM files of a certificate and of its key by `client_certificate`")
        ) from None


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def _reason(error: Exception, remedy: str) -> str:
    import ssl  # noqa: PLC0415

    if isinstance(error, UsageError):
        return str(error)  # it has a remedy of its own
    if isinstance(error, ssl.SSLError):
        reason = error.reason.lower().replace("_", " ") if error.reason else "no PEM"
    else:
        reason = str(error.strerror).lower() if isinstance(error, OSError) else str(error)
    return f"{reason}: {remedy}"
