"""What clients get of use over time: the response bodies of the HTTP API."""

from datetime import datetime

from pydantic import BaseModel, Field


class Usage(BaseModel):
    """A series, oldest first: each list has a value for each moment of `at`; null: it was not known then."""

    at: list[datetime]
    cpu_cores: list[float | None] = Field(description="Cores in use; of a node: by its containers.")
    memory_bytes: list[int | None] = Field(description="Memory in use; of a node: all of the machine's.")
    received_bytes: list[float | None] = Field(description="Received in a second; of a node: by its containers.")
    sent_bytes: list[float | None] = Field(description="Sent in a second; of a node: by its containers.")
    disk_bytes: list[int | None] = Field(
        description="Disk in use, null where the storage pool does not count it; of a node: all of the pool's."
    )
    message: str | None = Field(None, description="Why there is nothing, where there is a reason.")
