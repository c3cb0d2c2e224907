"""Where the API is reached."""

import pytest

from pathfinder.embedded.control_plane import url_of


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("127.0.0.1:8090,10.177.0.1:8090", "http://127.0.0.1:8090"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:8080", "http://[::1]:8080"),
    ],
)
def test_an_address_to_listen_on_becomes_one_to_connect_to(listen: str, url: str) -> None:
    """Nobody can connect to "everywhere"."""
    assert url_of(listen) == url
