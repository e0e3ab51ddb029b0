"""What a host knows of its volumes: one JSON file on its root disk, written by `volume install`.

It holds no secret. It is read at boot by a program that must not fail on what it does not need,
so it is plain JSON, and read strictly: an unknown key is an error that names the nearest.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafkaops.engine.errors import ConfigError
from kafkaops.model.volume import VolumeSpec

PATH = "/etc/kafkaops/volumes.json"
MEMORY = "/var/lib/kafkaops/volumes"
"""Where is noted which format was begun: on the root disk, for it outlives a reboot."""
FORM = 1

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+")
OWNER = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*:[A-Za-z_][A-Za-z0-9_-]*)?")
DEVICE = re.compile(r"/\S+|instance-store:[1-9]\d?")
S3 = re.compile(r"s3://[a-z0-9.-]{3,63}(/\S*)?")
PERF = ("no_read_workqueue", "no_write_workqueue", "same_cpu_crypt", "submit_from_crypt_cpus")
MODES = ("wrapped", "s3", "ephemeral")
FILESYSTEMS = ("xfs", "ext4")

TOP = (
    *("form", "cluster", "cluster_id", "node", "broker", "voter"),
    *("service", "owner", "aws", "volumes"),
)
AWS = ("region", "endpoint_url", "profile")
VOLUME = (
    *("name", "device", "mountpoint", "mode", "key", "object", "copies", "filesystem", "perf"),
    *("named", "size", "log_dir"),
)


@dataclass(frozen=True)
class AwsSettings:
    """Where KMS and S3 are; the fields of `config.schema.Aws`, without its machinery."""

    region: str = "eu-west-1"
    endpoint_url: str = ""
    profile: str = ""


@dataclass(frozen=True)
class HostFile:
    """`broker` is False on a host that is a controller alone, `voter` True on every controller;
    `service` is Kafka's unit, `owner` the `user:group` that it runs as, `cluster_id` Kafka's own
    id of the cluster."""

    cluster: str
    node: int
    volumes: tuple[VolumeSpec, ...]
    broker: bool = True
    service: str = "kafka"
    aws: AwsSettings = AwsSettings()
    owner: str = ""
    cluster_id: str = ""
    voter: bool = False

    def chosen(self, names: tuple[str, ...]) -> tuple[VolumeSpec, ...]:
        """These volumes in the file's order, or all; ConfigError for a name that is not there."""
        known = [volume.name for volume in self.volumes]
        for name in names:
            if name not in known:
                raise ConfigError(
                    "KO-VOLUME-UNKNOWN",
                    f"there is no volume {name!r} on this host{_nearest(name, known)}",
                    hint=f"its volumes: {', '.join(known)}",
                )
        return tuple(v for v in self.volumes if not names or v.name in names)


def rendered(host: HostFile) -> str:
    """The file's text; `read` gives the same HostFile back."""
    document = {
        "form": FORM,
        "cluster": host.cluster,
        "node": host.node,
        "broker": host.broker,
        "voter": host.voter,
        "service": host.service,
        "owner": host.owner,
        "cluster_id": host.cluster_id,
        "aws": {name: getattr(host.aws, name) for name in AWS},
        "volumes": [
            {name: _plain(getattr(volume, name)) for name in VOLUME} for volume in host.volumes
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def load(path: Path) -> HostFile:
    """ConfigError KO-VOLUME-FILE where there is none, or it may not be read."""
    try:
        return read(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise _fault(str(path), [str(why)]) from error


def read(text: str, where: str = PATH) -> HostFile:
    """ConfigError KO-VOLUME-FILE with every fault at once."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _fault(where, [f"it is no JSON: {error}"]) from error
    faults: list[str] = []
    _keys(document, TOP, "", faults, ("cluster", "node", "volumes"))
    if faults:
        raise _fault(where, faults)
    if document.get("form", FORM) != FORM:
        raise _fault(where, [f"form {document['form']!r}: this kafkaops reads {FORM}"])
    cluster, node = document["cluster"], document["node"]
    if not isinstance(cluster, str) or not cluster:
        faults.append("cluster: must be a name")
    if not isinstance(node, int) or isinstance(node, bool) or node < 0:
        faults.append("node: must be the broker's node.id")
    broker, service = document.get("broker", True), document.get("service", "kafka")
    if not isinstance(broker, bool):
        faults.append("broker: must be true or false")
    voter = document.get("voter", not broker)
    if not isinstance(voter, bool):
        faults.append("voter: must be true or false")
    if not isinstance(service, str) or not service:
        faults.append("service: must be the name of Kafka's unit")
    owner, cluster_id = document.get("owner", ""), document.get("cluster_id", "")
    if not isinstance(owner, str) or not OWNER.fullmatch(owner):
        faults.append("owner: must be user:group")
    if not isinstance(cluster_id, str):
        faults.append("cluster_id: must be text")
    aws = document.get("aws", {})
    _keys(aws, AWS, "aws.", faults)
    rows = document["volumes"]
    if not isinstance(rows, list) or not rows:
        faults.append("volumes: must be a list of at least one")
        rows = []
    for number, row in enumerate(rows):
        _row(row, f"volumes[{number}].", faults)
    if faults:
        raise _fault(where, faults)
    top = {"cluster": cluster, "node": node, "voter": voter}
    top |= {"owner": owner, "cluster_id": cluster_id}
    volumes = tuple(_volume(top, row) for row in rows)
    for what in ("name", "device", "mountpoint"):
        values = [getattr(v, what) for v in volumes]
        faults += [
            f"{what} {v!r} is there twice"
            for v in sorted({v for v in values if values.count(v) > 1})
        ]
    if faults:
        raise _fault(where, faults)
    settings = AwsSettings(**aws)
    return HostFile(cluster, node, volumes, broker, service, settings, owner, cluster_id, voter)


def _volume(top: Mapping[str, Any], row: Mapping[str, Any]) -> VolumeSpec:
    given = {name: row[name] for name in VOLUME if name in row}
    if "perf" in given:
        given["perf"] = tuple(given["perf"])
    return VolumeSpec(**top, **given)


def _row(row: Any, at: str, faults: list[str]) -> None:
    before = len(faults)
    _keys(row, VOLUME, at, faults, ("name", "device", "mountpoint"))
    if len(faults) > before:
        return
    words = {n: row.get(n, "") for n in VOLUME if n not in ("perf", "named", "size")}
    faults += [f"{at}{n}: must be text" for n, v in words.items() if not isinstance(v, str)]
    if len(faults) > before:
        return
    mode = row.get("mode", "wrapped")
    checks = (
        (bool(NAME.fullmatch(row["name"])), "name", "small letters, digits and dashes, at most 31"),
        (
            bool(DEVICE.fullmatch(row["device"])),
            "device",
            "a path, best under /dev/disk/by-id, or instance-store:N",
        ),
        (bool(re.fullmatch(r"(/[^/\s]+)+", row["mountpoint"])), "mountpoint", "an absolute path"),
        (mode in MODES, "mode", _one_of(MODES)),
        (row.get("filesystem", "xfs") in FILESYSTEMS, "filesystem", _one_of(FILESYSTEMS)),
        (mode != "wrapped" or bool(ARN.fullmatch(row.get("key", ""))), "key", "the KMS key's ARN"),
        (mode != "s3" or bool(S3.fullmatch(row.get("object", ""))), "object", "s3://BUCKET/KEY"),
        (
            not row.get("copies") or bool(S3.fullmatch(row["copies"])),
            "copies",
            "s3://BUCKET/PREFIX",
        ),
        (_flags(row.get("perf", [])), "perf", f"a list of {_one_of(PERF)}"),
        (isinstance(row.get("named", False), bool), "named", "true or false"),
        (_below(row), "log_dir", "the mountpoint, or a directory below it"),
        (_size(row.get("size", 0)), "size", "bytes, 0 for a disk"),
    )
    faults += [f"{at}{key}: must be {wanted}" for good, key, wanted in checks if not good]


def _flags(perf: Any) -> bool:
    return isinstance(perf, list) and all(flag in PERF for flag in perf)


def _below(row: Mapping[str, Any]) -> bool:
    log_dir, mountpoint = row.get("log_dir", ""), row["mountpoint"]
    return not log_dir or f"{log_dir}/".startswith(f"{mountpoint}/")


def _size(size: Any) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and size >= 0


def _keys(
    found: Any, known: tuple[str, ...], at: str, faults: list[str], needed: tuple[str, ...] = ()
) -> None:
    if not isinstance(found, dict):
        faults.append(f"{at.rstrip('.') or 'the file'}: must be an object")
        return
    for key in found:
        if key not in known:
            faults.append(f"{at}{key}: no such key{_nearest(key, known)}")
    faults += [f"{at}{key}: is missing" for key in needed if key not in found]


def _nearest(word: str, known: tuple[str, ...] | list[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def _one_of(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _fault(where: str, faults: list[str]) -> ConfigError:
    return ConfigError(
        "KO-VOLUME-FILE",
        "; ".join(faults),
        where=where,
        hint="`kafkaops volume install` on the operator's machine writes it anew",
    )
