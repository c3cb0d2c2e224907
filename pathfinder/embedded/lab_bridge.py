"""The bridges of a lab: the host's, which is the wire, and each node's, which its containers are plugged into."""

from ipaddress import ip_interface


def bridge(name: str, address: str) -> tuple[str, ...]:
    """What `ip` is told to make a bridge whose hardware address follows from its IPv4 address, and stays.

    Left to itself a bridge takes the lowest one of its ports. With each container that comes or goes it may be another,
    and until its neighbours notice, a second or two later, what they send is lost.
    """
    hardware = ":".join(f"{part:02x}" for part in (2, 0, *ip_interface(address).ip.packed))
    return ("link", "add", name, "address", hardware, "type", "bridge", "stp_state", "0", "forward_delay", "0")
