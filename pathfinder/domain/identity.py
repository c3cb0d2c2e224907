"""Users, sessions and tokens as clients write and read them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from pathfinder.domain import names
from pathfinder.domain.access import Role
from pathfinder.domain.fields import Body

Name = Annotated[str, AfterValidator(names.user)]
PersonRole = Literal[Role.VIEWER, Role.OPERATOR, Role.ADMIN]
#: Far longer than anybody types.
MOST_PASSWORD = 1024
LEAST_PASSWORD = 10
NewPassword = Annotated[SecretStr, Field(min_length=LEAST_PASSWORD, max_length=MOST_PASSWORD)]
Scope = Annotated[
    list[Annotated[str, Field(max_length=63)]] | None,
    Field(max_length=1000, description="Names of the only clusters it is for; null: all, those to come too."),
]
#: Ten years: who wants more wants one that does not end.
MOST_SECONDS = 3650 * 86_400


class Login(Body):
    """Who wants a session."""

    username: str = Field(max_length=63)
    password: SecretStr = Field(max_length=MOST_PASSWORD)


class SingleSignOn(BaseModel):
    """Whether people may sign in at an identity provider."""

    title: str | None = Field(description="What to call it; null: there is none.")


class Redemption(Body):
    """What a program shows whose user signed in with a browser."""

    code: str = Field(max_length=128, description="What the browser brought it.")
    verifier: SecretStr = Field(
        min_length=43, max_length=128, description="What it began with a `challenge` of, by S256 of RFC 7636."
    )


class Session(BaseModel):
    """Who asks, and what for."""

    user: str | None = Field(description="Null for a token that is no user's.")
    actor: str = Field(description="What the event log calls whoever asks so: user:NAME or token:NAME.")
    role: Role
    clusters: list[str] | None = Field(description="Only these clusters; null: all.")
    csrf_token: str | None = Field(description="What X-CSRF-Token has to be where the cookie is used; else null.")
    expires_at: datetime | None


class KnownSession(BaseModel):
    """A session of somebody, and where it began."""

    id: UUID
    user: str
    source: str
    agent: str
    created_at: datetime
    used_at: datetime | None = Field(description="Within a minute; null: not since it began.")
    expires_at: datetime


class UserSpec(Body):
    """A new user."""

    name: Name
    password: NewPassword
    role: PersonRole = Role.VIEWER
    clusters: Scope = None


class User(BaseModel):
    """A user."""

    name: str
    role: Role
    clusters: list[str] | None
    external: bool = Field(
        False, description="Whether they sign in at the identity provider, which says what they may."
    )
    created_at: datetime


class PasswordChange(Body):
    """Another password of a user."""

    password: NewPassword
    current: SecretStr | None = Field(
        None, max_length=MOST_PASSWORD, description="The present one: who changes their own has to know it."
    )


class TokenSpec(Body):
    """A new token."""

    name: Name
    role: Literal[Role.VIEWER, Role.OPERATOR, Role.ADMIN, Role.JOIN] = Role.VIEWER
    clusters: Scope = None
    seconds: int | None = Field(
        None, gt=0, le=MOST_SECONDS, description="How long it lasts; null: until it is revoked."
    )
    uses: int | None = Field(None, gt=0, le=1_000_000, description="Of join tokens: how many machines it may admit.")
    personal: bool = Field(
        False, description="It goes with the user who makes it, and never may more; always so for who is no admin."
    )
    replace: bool = Field(False, description="Revoke the user's former one of that name.")


class Token(BaseModel):
    """A token, without its secret."""

    id: UUID
    name: str
    role: Role
    clusters: list[str] | None
    user: str | None = Field(description="Whose it is, if somebody's.")
    actor: str | None = Field(description="Who made it; null: `pathfinder token create`.")
    uses: int | None = Field(description="Of join tokens: how many machines it may admit; null: any number.")
    machines: int = Field(description="How many it admitted.")
    created_at: datetime
    used_at: datetime | None = Field(description="Within a minute; null: never.")
    expires_at: datetime | None


class NewToken(Token):
    """A token as it was made: the only time its secret is shown."""

    token: str


SecretName = Annotated[str, AfterValidator(names.secret)]


class SecretSpec(Body):
    """A secret's value: text, 64 KiB of it at most."""

    value: SecretStr = Field(min_length=1, max_length=65_536)


class Secret(BaseModel):
    """A secret, without its value."""

    name: str
    actor: str = Field(description="Who set it last.")
    created_at: datetime
    updated_at: datetime
