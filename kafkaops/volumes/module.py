"""The module that every broker host has: this tool itself, packed so that the host's own Python
runs it at boot, before any network share or package manager is there.

Invariants: the same parts make the same bytes, and the name holds their digest, so a directory
of that name is never another one; no compiled part is in it, so one module fits every
architecture; versions lie beside each other and `current` moves in one rename.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import marshal
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from kafkaops.engine.errors import ConfigError
from kafkaops.ports.host_files import Files

HOME = "/opt/kafkaops"
CURRENT = f"{HOME}/current"
COMMAND = f"{CURRENT}/bin/kafkaops"
ON_PATH = "/usr/local/sbin/kafkaops"
"""Where root's shell finds the command."""
TO_COMMAND = f"../../..{COMMAND}"
"""What the link there says."""
LARGEST = 8 * 1024 * 1024  # bytes: what goes to a host over SSM Run Command

# What a host's commands import. Not here: rich's highlighting of code (pygments, markdown), and
# whatever is compiled (pydantic, clients of Kafka): those commands read no config file.
DISTRIBUTIONS = (
    *("kafkaops", "typer", "annotated-doc", "shellingham", "rich", "tenacity"),
    *("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3"),
)
AWS = ("kms", "s3", "sts", "cloudtrail")
# Rooms whose work is done from an operator's machine, and the lab.
ROOMS_ELSEWHERE = ("upgrade", "placement", "mirror", "verify", "features", "cutover", "lab")
LEFT_OUT = (
    *("../*", "*.pyc", "*.pyi", "*/examples-1.json", "dateutil/zoneinfo/*.tar.gz"),
    *("boto3/data/*", "boto3/examples/*", "__editable__*"),
    *(f"kafkaops/{room}/*" for room in ROOMS_ELSEWHERE),
    *(f"*.dist-info/{name}" for name in ("RECORD", "INSTALLER", "REQUESTED", "WHEEL")),
    *(f"*.dist-info/{name}" for name in ("direct_url.json", "top_level.txt", "zip-safe")),
)
COMPILED = (".so", ".pyd", ".dll", ".dylib")

# Python 3.11 is first, for it finds its own compiled code here; the others compile each time.
# -I and -S: nothing that somebody put into the environment or the site directory is imported.
SHELL = """\
#!/bin/sh
# The first Python of this host that is new enough runs what lies beside this file.
here=$(dirname "$(dirname "$(readlink -f "$0")")")
for python in python3.11 python3.12 python3.13 python3.14 python3; do
  if command -v "$python" >/dev/null 2>&1; then exec "$python" -I -S "$here/start.py" "$@"; fi
done
echo "KO-HOST-PYTHON: kafkaops needs Python 3.11 or newer: install python3.11 on this host" >&2
exit 4
"""
START = """\
import os
import sys

if sys.version_info < (3, 11):
    found = ".".join(str(part) for part in sys.version_info[:3])
    sys.stderr.write(
        "KO-HOST-PYTHON: kafkaops needs Python 3.11 or newer, and this is %s: "
        "install python3.11 on this host\\n" % found
    )
    sys.exit(4)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from kafkaops.cli.on_host import main

main()
"""


@dataclass(frozen=True)
class Module:
    """`data` is a tar.gz with the one top directory `name`."""

    name: str
    data: bytes

    @property
    def filename(self) -> str:
        return f"{self.name}.tar.gz"

    @property
    def directory(self) -> str:
        """Where it lies on a host."""
        return f"{HOME}/{self.name}"


def belongs(path: str) -> bool:
    """Whether an installed file (relative to its `site-packages`) goes into the module."""
    parts = PurePosixPath(path).parts
    if parts[:2] == ("botocore", "data") and len(parts) > 3 and parts[2] not in AWS:
        return False
    return not any(fnmatchcase(path, pattern) for pattern in LEFT_OUT)


def pack(files: Mapping[str, bytes], version: str) -> Module:
    """The module of these files, by their paths below `site-packages`. ConfigError
    KO-MODULE-COMPILED for a compiled part, KO-MODULE-LARGE where a host would not take it."""
    if compiled := sorted(path for path in files if path.endswith(COMPILED)):
        raise ConfigError(
            "KO-MODULE-COMPILED",
            f"{compiled[0]} is compiled for one machine and cannot go to every host",
            hint="leave its distribution out of kafkaops.volumes.module.DISTRIBUTIONS",
        )
    content = {f"lib/{path}": data for path, data in files.items()}
    content |= {
        bytecode_path(path): bytecode(path, data)
        for path, data in content.items()
        if path.endswith(".py")
    }
    content |= {"bin/kafkaops": SHELL.encode(), "start.py": START.encode()}
    name = f"kafkaops-{version}-{digest(content)}"
    module = Module(name, archive(name, content))
    if len(module.data) > LARGEST:
        raise ConfigError(
            "KO-MODULE-LARGE",
            f"the module has {len(module.data):,} bytes; at most {LARGEST:,} go to a host",
        )
    return module


def digest(content: Mapping[str, bytes]) -> str:
    """12 hexadecimal digits of everything in it."""
    total = hashlib.sha256()
    for path in sorted(content):
        total.update(f"{path}\0{len(content[path])}\0".encode() + content[path])
    return total.hexdigest()[:12]


def archive(top: str, content: Mapping[str, bytes]) -> bytes:
    """A tar.gz without times, owners, or an order of its own: all that differs between two
    machines that pack the same."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(content):
            entry = tarfile.TarInfo(f"{top}/{path}")
            entry.size = len(content[path])
            entry.mode = 0o755 if path.startswith("bin/") else 0o644
            tar.addfile(entry, io.BytesIO(content[path]))
    return gzip.compress(raw.getvalue(), 9, mtime=0)


def bytecode_path(path: str) -> str:
    source = PurePosixPath(path)
    return str(source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc")


def bytecode(path: str, source: bytes) -> bytes:
    """Compiled code that is taken without a look at the source's time. Source: PEP 552.
    Marshalled in version 2: later ones write down which objects were shared in the memory of
    whoever compiled, and so differ from run to run."""
    code = compile(source, f"{HOME}/{path}", "exec", dont_inherit=True, optimize=0)
    unchecked = (1).to_bytes(4, "little")
    header = importlib.util.MAGIC_NUMBER + unchecked + importlib.util.source_hash(source)
    return header + marshal.dumps(code, 2)


def install(host: Files, module: Module) -> None:
    """Lay the module on a host beside older ones and make it current. Done again, it changes
    nothing; killed anywhere, `current` is the old one or the new one, and whole."""
    tarball = f"{HOME}/{module.filename}"
    host.put(tarball, module.data)
    host.unpack(tarball, module.directory)
    host.switch(CURRENT, module.name)
    host.remove(tarball)
