"""Who logs in to RabbitMQ: a URL may name a user, for all; else each role is a user of its own, and so is each node."""

from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit
from uuid import UUID

_NODE = "node."


@dataclass(frozen=True, slots=True)
class Login:
    """A user and its password."""

    user: str
    password: str


def role_user(role: str) -> str:
    """The user of a role."""
    return f"pathfinder-{role}"


def node_user(hostname: str, node_id: object) -> str:
    """The user of a node. With its id: a node that is deleted and registers anew is another one, whoever still holds a
    connection of the former.
    """
    return f"{_NODE}{hostname}.{node_id}"


def node_of(user: str) -> tuple[str, UUID] | None:
    """The hostname and id in the user of a node; None for other users."""
    hostname, _, node_id = user.removeprefix(_NODE).rpartition(".")
    try:
        return (hostname, UUID(node_id)) if user.startswith(_NODE) and hostname else None
    except ValueError:
        return None


def split(urls: str) -> list[str]:
    """The URLs of a setting, which are separated by commas."""
    return [url.strip() for url in urls.split(",") if url.strip()]


def is_anonymous(url: str) -> bool:
    """Whether a URL names no user."""
    return urlsplit(url).username is None


def logged_in(url: str, login: Login | None) -> str:
    """The URL, with this user if it names none."""
    if login is None or not is_anonymous(url):
        return url
    parts = urlsplit(url)
    account = ":".join(quote(each, safe="") for each in (login.user, login.password))
    return parts._replace(netloc=f"{account}@{parts.netloc}").geturl()


def virtual_host(urls: str) -> str:
    """That of the URLs of a setting, which have the same."""
    return unquote(urlsplit(split(urls)[0]).path[1:]) or "/"
