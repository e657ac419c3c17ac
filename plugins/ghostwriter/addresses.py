"""What an address says of the server behind it: its origin, and whether it is one no secret may be sent to."""

import ipaddress
import os
import socket
from urllib.parse import urlsplit

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
SERVING = "http://127.0.0.1:8910/v1"


def serving_url() -> str:
    """Where the serving gateway is: GHOSTWRITER_SERVING_URL, else where `python -m ghostwriter serve` listens on this machine."""
    return (os.environ.get("GHOSTWRITER_SERVING_URL") or SERVING).rstrip("/")


def origin(url: str) -> str:
    """Scheme, host and port, in lower case; on this machine without the port, which is chosen anew at each start."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    host = (parts.hostname or "").rstrip(".")
    here = is_loopback(host)
    return f"{parts.scheme}://{'this machine' if here else host}{f':{parts.port}' if parts.port and not here else ''}"


def is_link_local(host: str) -> bool:
    """Whether it is an address of the link itself: a cloud's metadata service answers there, and no site or teacher does."""
    address = ip_address(host)
    return address is not None and address.is_link_local


def is_loopback(host: str) -> bool:
    """Whether it is this machine."""
    address = ip_address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def ip_address(host: str) -> IpAddress | None:
    """The IP address, however it is written (a number, octal, an IPv4 one inside IPv6); None for a name."""
    try:
        address: IpAddress = ipaddress.ip_address(host)
    except ValueError:
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, ValueError):
            return None
    return getattr(address, "ipv4_mapped", None) or address
