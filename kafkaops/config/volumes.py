"""The encrypted log volumes of a cluster in a config file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from kafkaops.config.strict import AbsolutePath, Strict


class Disk(Strict):
    """One encrypted volume of every host of a cluster. `device` is a path under /dev, best below
    /dev/disk/by-id; `instance-store:N`, the host's N-th instance-store disk by serial; or a file,
    then of `size` bytes, on a loop device."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
    device: Annotated[str, StringConstraints(pattern=r"^(/\S+|instance-store:[1-9]\d?)$")]
    mountpoint: AbsolutePath = Field(description="where it is mounted")
    log_dir: Annotated[str, StringConstraints(pattern=r"^((/[^/\s]+)+)?$")] = Field(
        "", description="the broker's log.dir at or below it; default the mountpoint itself"
    )
    size: int = Field(0, ge=0, description="bytes, where the device is a file")


class Volumes(Strict):
    """Encrypted log volumes, the same on every host of the cluster (docs/volumes.md)."""

    mode: Literal["wrapped", "s3", "ephemeral"] = Field(
        "wrapped", description="a data key a volume, wrapped by KMS; a password in S3; in memory"
    )
    key: Annotated[
        str, StringConstraints(pattern=r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+)?$")
    ] = Field("", description="the KMS key's ARN; required for wrapped")
    object: Annotated[str, StringConstraints(pattern=r"^(s3://[^/\s]+/\S+)?$")] = Field(
        "", description="mode s3: the encrypted password; {node} and {volume} stand for themselves"
    )
    copies: Annotated[str, StringConstraints(pattern=r"^(s3://[^/\s]+(/\S*)?)?$")] = Field(
        "", description="where copies of tokens and headers go"
    )
    filesystem: Literal["xfs", "ext4"] = "xfs"
    owner: Annotated[str, StringConstraints(pattern=r"^([\w-]+:[\w-]+)?$")] = Field(
        "", description="user:group that Kafka runs as; default root's"
    )
    perf: tuple[
        Literal[
            "no_read_workqueue",
            "no_write_workqueue",
            "same_cpu_crypt",
            "submit_from_crypt_cpus",
        ],
        ...,
    ] = Field((), description="dm-crypt's flags; `kafkaops volume bench` says which help")
    disks: tuple[Disk, ...] = Field(min_length=1)
