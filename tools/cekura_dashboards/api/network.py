"""Proxy and certificate settings from the environment. Each error names its variable."""

import os
import re
import ssl
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cekura_dashboards.api.errors import WrongNetworkSetting

CERTIFICATES, FOLDER, KEY_LOG = "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"
DEFAULT_PORTS = {"http": 80, "https": 443}
_PROXY = re.compile(
    r"(?P<scheme>http|https|socks5|socks5h)://([^\s/?#@]*@)?(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(:(?P<port>\d{1,5}))?/?"
)
_WITHOUT_SCHEME = re.compile(r"[^\s/?#]+:\d{1,5}/?")
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
"""OpenSSL's file name for a certificate in a folder: a digest of its subject."""


class Proxy(NamedTuple):
    """``variable``: where it is set, or a phrase for the system's own settings."""

    variable: str
    url: str


def is_loopback(host: str) -> bool:
    """Whether a host, from a URL or an address, is this machine.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "localhost.example", "127.1.example")]
    [True, True, True, False, False]
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_network(base_url: str) -> None:
    """Refuse at start-up what would make every request fail.

    Raises:
        WrongNetworkSetting: naming the variable.
    """
    if any(name.lower().endswith("_proxy") for name in os.environ):
        proxy_of(base_url)
    if urlsplit(base_url).scheme == "https":
        check_certificates()


def proxy_of(base_url: str) -> Proxy | None:
    """The proxy for an address: its scheme's, or ``ALL_PROXY``; None: none, or the host is loopback or in ``NO_PROXY``.

    Requests to this machine carry a key over plain HTTP, so they must bypass proxies.

    Raises:
        WrongNetworkSetting: if it is not a proxy address.
    """
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - slow to import, and mostly not needed at start

    parts, proxies = urlsplit(base_url), getproxies()
    if is_loopback(parts.hostname or ""):
        return None
    kind = next((kind for kind in (parts.scheme, "all") if proxies.get(kind, "").strip()), None)
    if kind is None or proxy_bypass(f"{parts.hostname}:{parts.port or DEFAULT_PORTS[parts.scheme]}"):
        return None
    url, variable = proxies[kind].strip(), _variable(kind)
    match = _PROXY.fullmatch(url)
    if match is None or not 0 < int(match["port"] or 1) < 65536:  # noqa: PLR2004 - ports are 16 bits
        hint = f"write http://{url}" if _WITHOUT_SCHEME.fullmatch(url) and "@" not in url else "write http://HOST:PORT"
        raise WrongNetworkSetting(variable, url, f"which is not a proxy address; {hint} or unset it")
    if match["scheme"].startswith("socks") and not find_spec("socksio"):
        raise WrongNetworkSetting(variable, url, "which needs an extra package. Run: pip install 'httpx[socks]'")
    return Proxy(variable, url)


def _variable(kind: str) -> str:
    """The variable that sets a proxy: the lower-case name takes precedence."""
    names = sorted((name for name in os.environ if name.lower() == f"{kind}_proxy"), reverse=True)
    return next((name for name in names if os.environ[name].strip()), "the system's proxy")


def check_certificates() -> None:
    """Check that the files from which httpx reads certificates, or to which it logs keys, can be used.

    Raises:
        WrongNetworkSetting: naming the variable.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if file := os.environ.get(CERTIFICATES):
        try:
            context.load_verify_locations(cafile=file)
        except OSError as error:
            why = "it contains no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise WrongNetworkSetting(
                CERTIFICATES, file, f"which cannot be used ({why}); set it to a PEM file of certificates or unset it"
            ) from None
    elif (folders := os.environ.get(FOLDER)) and not any(map(_holds_certificates, folders.split(os.pathsep))):
        raise WrongNetworkSetting(
            FOLDER, folders, "which contains no certificates named as by openssl rehash; correct or unset it"
        )
    if log := os.environ.get(KEY_LOG):
        try:
            context.keylog_filename = log
        except OSError as error:
            raise WrongNetworkSetting(
                KEY_LOG, log, f"which cannot be used ({error.strerror}); correct or unset it"
            ) from None


def certificate_variable() -> str:
    """The variable that decides which certificates are trusted."""
    return FOLDER if os.environ.get(FOLDER) and not os.environ.get(CERTIFICATES) else CERTIFICATES


def _holds_certificates(folder: str) -> bool:
    try:
        names = [path for path in Path(folder).iterdir() if _HASHED.fullmatch(path.name)]
    except OSError:
        return False
    return any(_is_certificate(path) for path in names)


def _is_certificate(path: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError:
        return False
    return True
