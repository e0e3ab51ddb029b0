"""What every section of a config file shares: no unknown keys, and values of a known form."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
SecretRef = Annotated[str, StringConstraints(pattern=r"^(env|file|secretsmanager):.+$")]
HostPort = Annotated[str, StringConstraints(pattern=r"^[^\s:]+:\d{1,5}$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^(/[^/\s]+)+$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
