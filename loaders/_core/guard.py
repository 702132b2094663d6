"""Where a redirect may lead: to the world, and not from there into the network that we are in ourselves.

A server outside could otherwise have us fetch, and land, what only this machine can reach: a cloud's
metadata, an administration page. Whoever declares an address inside may also be redirected inside.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.request import getproxies

import httpx

from loaders._core import errors


def look_at(url: httpx.URL, declared: str) -> None:
    """Look at the address of a redirect before it is followed.

    Raises:
        VendorError: it is no address of the web, gives up the declared one's encryption, or leads inside.
    """
    base = httpx.URL(declared)
    if url.scheme not in ("http", "https"):
        raise errors.VendorError(f"the server redirects to {url.scheme}:, which is no address of the web")
    if base.scheme == "https" and url.scheme == "http":
        raise errors.VendorError(
            f"the server redirects from https to plain http ({url.host}); declare that address if you trust"
            " it"
        )
    _refuse_inside(url.host, addresses(url.host), base)


def look_at_peer(response: httpx.Response, declared: str) -> None:
    """Look at whom a redirect has led to: a name may have changed its address since it was looked at.

    Raises:
        VendorError: it leads inside.
    """
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    if peer and not getproxies().keys() - {"no"}:  # a proxy is inside, and knows what it may reach
        _refuse_inside(response.url.host, [peer[0]], httpx.URL(declared))


def addresses(host: str) -> list[str]:
    """The addresses of a host; none if only a proxy knows them."""
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError:
        return []


def is_inside(address: str) -> bool:
    """Whether an IP address is private, loopback, link-local or otherwise none of the world's."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return not found.is_global or found.is_multicast


def _refuse_inside(host: str, found: list[str], base: httpx.URL) -> None:
    inside = [address for address in found if is_inside(address)]
    if inside and not any(map(is_inside, addresses(base.host))):
        raise errors.VendorError(
            f"the server redirects to {host} ({inside[0]}), an address inside this network; declare it"
            " yourself if it is meant to be read"
        )
