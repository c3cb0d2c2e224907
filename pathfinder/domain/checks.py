"""Health checks and restarts of a container, as people write them: bodies within `ContainerSpec`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pathfinder.domain.fields import Body

MOST_CHECKS = 8

Port = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class TcpProbe(Body):
    """Healthy if the port takes a connection."""

    port: Port


class HttpProbe(Body):
    """Healthy if the answer has one of these statuses and, if given, contains this text."""

    port: Port = 80
    path: Annotated[str, Field(min_length=1, max_length=2048, pattern="^/")] = "/"
    scheme: Literal["http", "https"] = "http"
    statuses: list[Annotated[int, Field(ge=100, le=599)]] = Field(
        default_factory=list, max_length=32, description="Statuses that are well; 200 to 399 if empty."
    )
    body: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        None, description="Text that the answer must contain, in its first 64 KiB."
    )
    headers: dict[Annotated[str, Field(min_length=1, max_length=128)], Annotated[str, Field(max_length=1024)]] = Field(
        default_factory=dict, max_length=16
    )


class ExecProbe(Body):
    """Healthy if the command, run in the container, ends with 0."""

    command: list[Annotated[str, Field(max_length=4096)]] = Field(min_length=1, max_length=64)


class Check(Body):
    """One check, by one of `tcp`, `http` and `exec`. Times in seconds."""

    name: Annotated[str, Field(min_length=1, max_length=63)] = "health"
    tcp: TcpProbe | None = None
    http: HttpProbe | None = None
    exec: ExecProbe | None = None
    interval_seconds: Seconds = 10.0
    timeout_seconds: Seconds = 2.0
    initial_delay_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 0.0
    healthy_after: Annotated[int, Field(ge=1, le=100)] = Field(1, description="Good answers in a row.")
    unhealthy_after: Annotated[int, Field(ge=1, le=100)] = Field(3, description="Bad answers in a row.")

    @model_validator(mode="after")
    def _one_probe(self) -> "Check":
        if sum(probe is not None for probe in (self.tcp, self.http, self.exec)) != 1:
            raise ValueError("a check has one of tcp, http and exec")
        return self


class RestartPolicy(Body):
    """What happens to a container whose init ended or whose checks say UNHEALTHY."""

    enabled: bool = True
    delay_seconds: Seconds = Field(10.0, description="Before the first restart; doubles with each.")
    most_delay_seconds: Seconds = 300.0
    replace_after: Annotated[int, Field(ge=1, le=1000)] = Field(
        5, description="Restarts in a row that did not help, after which a stateless container is placed anew."
    )

    @model_validator(mode="after")
    def _grows(self) -> "RestartPolicy":
        if self.most_delay_seconds < self.delay_seconds:
            raise ValueError("most_delay_seconds is below delay_seconds")
        return self
