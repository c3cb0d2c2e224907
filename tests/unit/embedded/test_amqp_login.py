"""Logging in to RabbitMQ, as far as a probe needs it."""

import socket
import threading

import pytest

from pathfinder.embedded.amqp_login import lets_in, start_ok

START = b"\x01\x00\x00\x00\x00\x00\x06\x00\x0a\x00\x0a\x00\x09\xce"
TUNE = b"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x1e\xce"


def test_the_login_frame_says_how_long_it_is() -> None:
    """Type, channel, length, payload, end: the length counts the payload alone."""
    frame = start_ok("pathfinder", "secret")

    assert frame[:3] == b"\x01\x00\x00"
    assert int.from_bytes(frame[3:7], "big") == len(frame) - 8
    assert b"\0pathfinder\0secret" in frame
    assert frame.endswith(b"\xce")


@pytest.mark.parametrize(("answers", "expected"), [([START, TUNE], True), ([START], False), ([], False)])
def test_only_a_server_that_goes_on_after_the_login_lets_us_in(answers: list[bytes], expected: bool) -> None:
    """One that hangs up, before or after the password, does not."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                for answer in answers:
                    connection.recv(4096)
                    connection.sendall(answer)
                connection.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()

        assert lets_in("127.0.0.1", server.getsockname()[1], "pathfinder", "secret") is expected
        thread.join()
