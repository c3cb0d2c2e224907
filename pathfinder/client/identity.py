"""Users, sessions and tokens of the API, and how to log in."""

from collections.abc import AsyncGenerator, Callable, Sequence
from uuid import UUID

from pathfinder.client.connection import segment
from pathfinder.client.nouns import Noun
from pathfinder.domain.identity import KnownSession, NewToken, Session, SingleSignOn, Token, User


class Identity(Noun):
    """Who one is. It belongs to no cluster."""

    async def who(self) -> Session:
        """Who asks, and what for."""
        return await self._connection.ask(Session, "GET", "/session")

    async def log_in(self, user: str, password: str, token: str, seconds: int | None = None) -> NewToken:
        """A token of the user's own, named `token`, for `seconds`; the session that made it ends at once.

        The client must have no token yet. A former token of that name is revoked.
        """
        body = {"username": user, "password": password}
        return await self._token(await self._connection.ask(Session, "POST", "/session", body=body), token, seconds)

    async def single_sign_on(self) -> SingleSignOn:
        """Whether people may sign in at an identity provider."""
        return await self._connection.ask(SingleSignOn, "GET", "/sso")

    async def sign_in(self, code: str, verifier: str, name: Callable[[str], str], seconds: int | None) -> NewToken:
        """A token like that of `log_in`, for the code that a browser brought. `name` is what to call that of a user."""
        body = {"code": code, "verifier": verifier}
        begun = await self._connection.ask(Session, "POST", "/sso/session", body=body)
        return await self._token(begun, name(begun.user or ""), seconds)

    async def _token(self, begun: Session, token: str, seconds: int | None) -> NewToken:
        csrf = {"X-CSRF-Token": begun.csrf_token or ""}
        clusters = begun.clusters
        wanted = {"name": token, "role": begun.role, "clusters": clusters, "seconds": seconds}
        asked = {**wanted, "personal": True, "replace": True}
        made = await self._connection.ask(NewToken, "POST", "/tokens", body=asked, headers=csrf)
        await self._connection.request("DELETE", "/session", headers=csrf)
        return made

    async def log_out(self) -> None:
        """Revoke the token of this client; it must be a user's."""
        await self._connection.request("DELETE", "/session")

    def sessions(self) -> AsyncGenerator[KnownSession, None]:
        """The sessions one may end."""
        return self._pages(KnownSession, "/sessions", [])

    async def end_session(self, id_: UUID | str) -> None:
        """End a session."""
        await self._connection.request("DELETE", f"/sessions/{segment(str(id_))}")


class Users(Noun):
    """All users of a server."""

    def list(self) -> AsyncGenerator[User, None]:
        """Every user."""
        return self._pages(User, "/users", [])

    async def create(self, name: str, password: str, *, role: str, clusters: Sequence[str] | None = None) -> User:
        """Make a user; no clusters: for all."""
        body = {"name": name, "password": password, "role": role, "clusters": _names(clusters)}
        return await self._connection.ask(User, "POST", "/users", body=body)

    async def set_password(self, name: str, password: str, *, current: str | None = None) -> None:
        """Give a user another password; who does so for themselves has to know the `current` one."""
        body = {"password": password, "current": current}
        await self._connection.request("PUT", f"/users/{segment(name)}/password", body=body)

    async def delete(self, name: str) -> None:
        """Forget a user."""
        await self._connection.request("DELETE", f"/users/{segment(name)}")


class Tokens(Noun):
    """The tokens one may see."""

    def list(self) -> AsyncGenerator[Token, None]:
        """Each of them."""
        return self._pages(Token, "/tokens", [])

    async def create(
        self,
        name: str,
        *,
        role: str,
        clusters: Sequence[str] | None = None,
        seconds: int | None = None,
        uses: int | None = None,
        personal: bool = False,
    ) -> NewToken:
        """Make a token; no clusters: for all. Not repeated on its own: only its own answer has the secret."""
        body = {"name": name, "role": role, "clusters": _names(clusters), "seconds": seconds}
        return await self._connection.ask(NewToken, "POST", "/tokens", body=body | {"uses": uses, "personal": personal})

    async def revoke(self, id_: UUID) -> None:
        """Void a token."""
        await self._connection.request("DELETE", f"/tokens/{id_}")


def _names(clusters: Sequence[str] | None) -> list[str] | None:
    return None if clusters is None else list(clusters)
