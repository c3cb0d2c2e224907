"""Whether a RabbitMQ lets us in: the first three frames of AMQP 0-9-1, synchronously.

That somebody speaks AMQP on a port is not enough: it may be another RabbitMQ, which took the port a moment before ours.
"""

import socket
import struct

_GREETING = b"AMQP\x00\x00\x09\x01"
_FRAME_END = b"\xce"
_METHOD = 1
#: Class and method numbers of `connection.start-ok` and `connection.tune`.
_START_OK, _TUNE = (10, 11), (10, 30)


def lets_in(host: str, port: int, user: str, password: str, timeout_seconds: float = 2.0) -> bool:
    """Whether a server there accepts the password. False, too, while nobody is there or it is not ready."""
    try:
        with socket.create_connection((host, port), timeout_seconds) as connection:
            connection.sendall(_GREETING)
            _read_method(connection)  # connection.start: its offers are always the same
            connection.sendall(start_ok(user, password))
            return _read_method(connection) == _TUNE
    except (OSError, EOFError):
        return False


def start_ok(user: str, password: str) -> bytes:
    """The frame that answers a server's greeting with a password. Pure."""
    login = f"\0{user}\0{password}".encode()
    # No properties of the client; then the mechanism, the login, and the language of error messages.
    fields = struct.pack(">I", 0) + b"\x05PLAIN" + struct.pack(">I", len(login)) + login + b"\x05en_US"
    payload = struct.pack(">HH", *_START_OK) + fields
    return struct.pack(">BHI", _METHOD, 0, len(payload)) + payload + _FRAME_END


def _read_method(connection: socket.socket) -> tuple[int, int]:
    """The class and method number of the next frame."""
    _, _, size = struct.unpack(">BHI", _read(connection, 7))
    payload = _read(connection, size + len(_FRAME_END))
    number: tuple[int, int] = struct.unpack(">HH", payload[:4])
    return number


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (more := connection.recv(size - len(data))):
            raise EOFError
        data += more
    return data
