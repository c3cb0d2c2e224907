"""Users and sessions as clients write and read them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from pathfinder.domain import names
from pathfinder.domain.access import Role
from pathfinder.domain.fields import Body

UserName = Annotated[str, AfterValidator(names.user)]
HumanRole = Literal[Role.VIEWER, Role.OPERATOR, Role.ADMIN]


class Login(Body):
    """Who wants a session. The longest password is far longer than anybody types."""

    username: str = Field(max_length=63)
    password: SecretStr = Field(max_length=1024)


class Session(BaseModel):
    """Who asks, and what for."""

    user: str | None = Field(description="Null for a token that is no user's.")
    actor: str = Field(description="What the event log calls whoever asks so: user:NAME or token:NAME.")
    role: Role
    clusters: list[str] | None = Field(description="Only these clusters; null: all.")
    csrf_token: str | None = Field(description="What X-CSRF-Token has to be where the cookie is used; else null.")
    expires_at: datetime | None
