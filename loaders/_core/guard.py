"""Where a request may lead: to the world, and not from there into the network that we are in ourselves.

A server outside could otherwise have us fetch, and land, what only this machine can reach: a cloud's
metadata, an administration page. Whoever declares an address inside may also be redirected inside.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from loaders._core import errors

Trace = Callable[[str, Mapping[str, Any]], None]
_WORLD = ipaddress.IPv6Network("2000::/3")
_CARRIES_IPV4 = ipaddress.IPv6Network("64:ff9b::/96")  # how a network without IPv4 reaches it


class Guard:
    """Looks at addresses before they are asked, and at whom each connection reaches before anything is sent.

    A name is looked up once more for the connection, and may then lead elsewhere: only the second look,
    which is at the connection itself, is certain. Through a proxy there is only the first.
    """

    def __init__(self) -> None:
        self._is_inside: dict[str, bool] = {}  # by host, whom the newest connection without a proxy reached

    def look_at(self, url: httpx.URL, sender: httpx.URL) -> None:
        """Look at the address of a redirect before it is followed.

        Raises:
            VendorError: it is no address of the web, gives up encryption, or leads inside from outside.
        """
        if url.scheme not in ("http", "https"):
            raise errors.VendorError(f"the server redirects to {url.scheme}:, which is no address of the web")
        if sender.scheme == "https" and url.scheme == "http":
            raise errors.VendorError(
                f"the server redirects from https to plain http ({url.host}); declare that address if you"
                " trust it"
            )
        inside = [address for address in addresses(url.host) if is_inside(address)]
        if inside and url.host != sender.host and not self._is_inside.get(sender.host):
            raise _leads_inside(url.host, inside[0])

    def watch(self, url: httpx.URL, sender: httpx.URL | None = None) -> Trace:
        """What httpx calls while it sends a request: to an address that was declared, or by a redirect of
        ``sender``.
        """
        host = ""
        may_be_inside = sender is None or self._is_inside.get(sender.host, False)

        def trace(event: str, about: Mapping[str, Any]) -> None:
            nonlocal host
            if event == "connection.connect_tcp.started":
                host = about["host"]
            elif event == "connection.connect_tcp.complete" and host == url.raw_host.decode():
                stream = about["return_value"]
                try:
                    self.met(url.host, stream.get_extra_info("server_addr")[0], may_be_inside=may_be_inside)
                except OSError:
                    stream.close()
                    raise errors.Transient("the connection broke off as soon as it was made") from None
                except errors.VendorError:
                    stream.close()
                    raise

        return trace

    def met(self, host: str, address: str, *, may_be_inside: bool) -> None:
        """A connection was made.

        Raises:
            VendorError: it leads inside and must not, or the host was outside before.
        """
        inside = is_inside(address)
        if inside and not (may_be_inside and self._is_inside.get(host, True)):
            raise _leads_inside(host, address)
        self._is_inside[host] = inside


def addresses(host: str) -> list[str]:
    """The addresses of a host; none if only a proxy knows them.

    Raises:
        VendorError: no host can have this name.
    """
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except UnicodeError:
        raise errors.VendorError(f"the server redirects to {host}, which is no name of a host") from None
    except OSError:
        return []


def is_inside(address: str) -> bool:
    """Whether an IP address is private, loopback, link-local or otherwise none of the world's."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        carried = found.ipv4_mapped or found.sixtofour
        if found in _CARRIES_IPV4:
            carried = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if carried is None and found not in _WORLD:
            return True
        found = carried or found
    return not found.is_global or found.is_multicast


def _leads_inside(host: str, address: str) -> errors.VendorError:
    return errors.VendorError(
        f"the server leads to {host} ({address}), an address inside this network; declare it yourself if it"
        " is meant to be read"
    )
