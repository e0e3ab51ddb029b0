"""The module for hosts: what goes into it, that it comes out the same each time, how it lands."""

from __future__ import annotations

import importlib.util
import io
import marshal
import random
import sys
import tarfile
from typing import Any

import pytest

from kafkaops.engine.errors import ConfigError
from kafkaops.volumes.module import (
    CURRENT,
    LARGEST,
    Module,
    archive,
    belongs,
    bytecode,
    bytecode_path,
    install,
    pack,
)

FILES = {"kafkaops/a.py": b"WORDS = {'b', 'a', 'c'}\n", "kafkaops/b.json": b"{}"}


def entries(module: Module) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(module.data)) as tar:
        return tar.getmembers()


def test_it_lies_in_one_directory_named_for_version_and_content() -> None:
    module = pack(FILES, "1.2.3")
    assert module.name.startswith("kafkaops-1.2.3-")
    assert module.directory == f"/opt/kafkaops/{module.name}"
    assert [entry.name.removeprefix(f"{module.name}/") for entry in entries(module)] == [
        "bin/kafkaops",
        f"lib/kafkaops/__pycache__/a.{sys.implementation.cache_tag}.pyc",
        "lib/kafkaops/a.py",
        "lib/kafkaops/b.json",
        "start.py",
    ]


def test_the_same_files_in_any_order_make_the_same_bytes() -> None:
    turned = dict(reversed(FILES.items()))
    assert pack(turned, "1").data == pack(FILES, "1").data
    assert {(entry.mtime, entry.uid, entry.uname) for entry in entries(pack(FILES, "1"))} == {
        (0, 0, "")
    }


@pytest.mark.parametrize(
    "changed", [{"kafkaops/a.py": b"WORDS = 1\n"}, {"kafkaops/b.json": b"[]"}, {"x.py": b""}]
)
def test_another_content_has_another_name(changed: dict[str, bytes]) -> None:
    assert pack(FILES | changed, "1").name != pack(FILES, "1").name


def test_only_the_command_may_be_executed() -> None:
    modes = {e.name.partition("/")[2]: e.mode for e in entries(pack(FILES, "1"))}
    assert modes.pop("bin/kafkaops") == 0o755
    assert set(modes.values()) == {0o644}


def test_a_compiled_part_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"yaml/_yaml\.cpython-311\.so is compiled") as caught:
        pack(FILES | {"yaml/_yaml.cpython-311.so": b"\x7fELF"}, "1")
    assert caught.value.code == "KO-MODULE-COMPILED"


def test_what_no_host_would_take_is_refused() -> None:
    noise = random.Random(1).randbytes(LARGEST)
    with pytest.raises(ConfigError) as caught:
        pack({"a.bin": noise}, "1")
    assert caught.value.code == "KO-MODULE-LARGE"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("kafkaops/volumes/state.py", True),
        ("kafkaops/data/instance_types.json", True),
        ("kafkaops/lab/vm/agent.py", False),
        ("kafkaops/upgrade/parity.py", False),
        ("kafkaops/__pycache__/wiring.cpython-311.pyc", False),
        ("kafkaops-0.1.0.dist-info/METADATA", True),
        ("kafkaops-0.1.0.dist-info/RECORD", False),
        ("kafkaops-0.1.0.dist-info/direct_url.json", False),
        ("__editable___kafkaops_0_1_0_finder.py", False),
        ("../../../bin/kafkaops", False),
        ("rich-15.0.0.dist-info/licenses/LICENSE", True),
        ("botocore/data/endpoints.json", True),
        ("botocore/data/kms/2014-11-01/service-2.json.gz", True),
        ("botocore/data/kms/2014-11-01/examples-1.json", False),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", False),
        ("boto3/data/ec2/2016-11-15/resources-1.json", False),
        ("boto3/session.py", True),
    ],
)
def test_what_belongs_into_it(path: str, wanted: bool) -> None:
    assert belongs(path) is wanted


def test_compiled_code_is_that_of_its_source_and_is_not_checked_against_it() -> None:
    source = b"def f() -> set[str]:\n    return {'a', 'b'}\n\nX = f() in ({'q', 'r'}, 1)\n"
    compiled = bytecode("lib/a.py", source)
    assert compiled[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(compiled[4:8], "little") == 1  # by hash, unchecked
    assert compiled[8:16] == importlib.util.source_hash(source)
    scope: dict[str, Any] = {}
    exec(marshal.loads(compiled[16:]), scope)
    assert (scope["f"](), scope["X"]) == ({"a", "b"}, False)
    assert bytecode_path("lib/a.py") == importlib.util.cache_from_source("lib/a.py")


def test_compiled_code_does_not_depend_on_what_else_the_process_holds() -> None:
    source = b"NAME = 'a_name_that_nobody_has'\n"
    before = bytecode("a.py", source)
    held = [sys.intern("a_name_that_nobody_has"), sys.intern("NAME")]
    assert bytecode("a.py", source) == before
    assert held


class Recorder:
    """The files of a host, as the calls that were made."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def put(self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "") -> None:
        self.calls.append(("put", path, str(len(data))))

    def unpack(self, tarball: str, directory: str, *, owner: str = "", timeout: float = 0) -> None:
        self.calls.append(("unpack", tarball, directory))

    def switch(self, path: str, target: str) -> None:
        self.calls.append(("switch", path, target))

    def remove(self, path: str) -> None:
        self.calls.append(("remove", path))


def test_it_is_current_only_when_all_of_it_is_there() -> None:
    host: Any = Recorder()
    module = Module("kafkaops-1-ab", archive("kafkaops-1-ab", FILES))
    install(host, module)
    tarball = "/opt/kafkaops/kafkaops-1-ab.tar.gz"
    assert host.calls == [
        ("put", tarball, str(len(module.data))),
        ("unpack", tarball, "/opt/kafkaops/kafkaops-1-ab"),
        ("switch", CURRENT, "kafkaops-1-ab"),
        ("remove", tarball),
    ]
