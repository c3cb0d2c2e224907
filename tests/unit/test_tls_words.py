"""What is said of a connection that failed."""

import ssl

from pathfinder import tls


def test_an_error_that_is_behind_itself_has_an_end() -> None:
    """Errors that are kept and raised again make a ring; whoever asks must not go round for ever."""
    first, second = ConnectionError("closed"), ConnectionError("lost")
    first.__context__, second.__context__ = second, first

    assert list(tls.causes(first)) == [first, second]
    assert tls.words(first) == "closed"


def test_what_tls_says_is_found_behind_other_errors() -> None:
    """It tells more than that a connection failed."""
    error = ConnectionError("failed")
    behind = ssl.SSLError(1, "[SSL: TLSV1_ALERT_DECRYPT_ERROR] decrypt error")
    behind.reason = "TLSV1_ALERT_DECRYPT_ERROR"
    error.__cause__ = behind

    assert tls.words(error).startswith("TLS failed: TLSV1_ALERT_DECRYPT_ERROR")
