"""What things may be called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.domain import names


@pytest.mark.parametrize("text", ["a", "web-01", "pujanggateknologi", "0a", "a" * 63])
def test_an_rfc_1123_label_is_a_host_name(text: str) -> None:
    """Letters, digits, hyphens inside."""
    assert names.hostname(text) == text


@pytest.mark.parametrize(
    "text", ["", "-a", "a-", "A", "a_b", "a.b", "a b", "a" * 64, "123", "é", "a\n", "a\0", "../etc", "а"]
)
def test_anything_else_is_not(text: str) -> None:
    """The error says what may be used."""
    with pytest.raises(ValueError, match="host name"):
        names.hostname(text)


@pytest.mark.parametrize("text", ["ubuntu:26.04", "images:debian/13", "local:mine", "tiny", "0123abcdef"])
def test_an_image_is_an_alias_with_or_without_a_remote(text: str) -> None:
    """`[REMOTE:]ALIAS`."""
    assert names.image(text) == text


@pytest.mark.parametrize("text", ["", ":", "a:", ":a", "a:b:c", "a b", "UP:a", "a" * 300, "local:-x", "local:a\n"])
def test_what_is_no_image_is_refused_with_the_form(text: str) -> None:
    """And with examples."""
    with pytest.raises(ValueError, match="REMOTE"):
        names.image(text)


@pytest.mark.parametrize("text", ["zone", "pathfinder.io/zone", "a_b-c.d", "A"])
def test_label_keys(text: str) -> None:
    """Letters, digits, and . _ / - inside."""
    assert names.label_key(text) == text


@pytest.mark.parametrize("text", ["", "-a", "a-", "a b", "a=b", "a" * 64])
def test_what_is_no_label_key_is_refused(text: str) -> None:
    """An equals sign would be ambiguous on the command line."""
    with pytest.raises(ValueError, match="label key"):
        names.label_key(text)


def test_a_label_may_be_empty_but_not_odd() -> None:
    """`k=` is a label."""
    assert names.label_value("") == ""
    for text in (" ", "-", "a,b", "a" * 64):
        with pytest.raises(ValueError, match="label value"):
            names.label_value(text)


@given(st.text(max_size=70))
def test_what_passes_as_a_host_name_holds_only_safe_characters(text: str) -> None:
    """It goes into queue names, paths and URLs as it is."""
    try:
        names.hostname(text)
    except ValueError:
        return
    assert 1 <= len(text) <= 63
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not text.isdigit()
