"""What is done to a container before and after its first start, as people write it: bodies within `ContainerSpec`."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from pathfinder.domain import names
from pathfinder.domain.fields import Body, JsonObject

MOST_BOOTSTRAPPERS = 32
MOST_CONTENT = 65_536


def _absolute(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/") or path.endswith("/"):
        raise ValueError("write the absolute path of a file, without ..")
    return path


FilePath = Annotated[str, Field(max_length=4096), AfterValidator(_absolute)]
Mode = Annotated[str, Field(pattern="^0?[0-7]{3,4}$", description="Octal: 0644.")]
Url = Annotated[str, Field(max_length=2048), AfterValidator(names.web_address)]


class File(Body):
    """A file to be written into a container. Either `content`, or the name of a `secret` whose value it is."""

    path: FilePath
    content: Annotated[str, Field(max_length=MOST_CONTENT)] = ""
    secret: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    mode: Mode = "0644"
    uid: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    gid: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    @field_validator("secret")
    @classmethod
    def _either(cls, secret: str | None, info: Any) -> str | None:
        if secret is not None and info.data.get("content"):
            raise ValueError("a file has either content or a secret")
        return secret


class _Bootstrapper(Body):
    name: Annotated[str, Field(min_length=1, max_length=63)] = ""
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = 600.0
    retries: Annotated[int, Field(ge=0, le=20)] = Field(2, description="Further tries after one that failed.")


class Script(_Bootstrapper):
    """A script, written into the container and run there; 0 is success."""

    type: Literal["script"]
    script: Annotated[str, Field(min_length=1, max_length=MOST_CONTENT)]
    interpreter: Annotated[str, Field(min_length=1, max_length=255)] = "/bin/sh"
    environment: dict[Annotated[str, Field(min_length=1, max_length=255)], str] = Field(
        default_factory=dict, max_length=64
    )


class Files(_Bootstrapper):
    """Files, written in order."""

    type: Literal["files"]
    files: list[File] = Field(min_length=1, max_length=64)


class CloudInit(_Bootstrapper):
    """Waits until the cloud-init of the image is done."""

    type: Literal["cloud-init"]


class ChefSolo(_Bootstrapper):
    """chef-solo with cookbooks from a URL and attributes, as Pathfinder's users know it."""

    type: Literal["chef-solo"]
    cookbooks_url: Url
    attributes: JsonObject = Field(default_factory=dict)
    options: list[Annotated[str, Field(max_length=255)]] = Field(default_factory=list, max_length=32)


Bootstrapper = Annotated[Script | Files | CloudInit | ChefSolo, Field(discriminator="type")]
