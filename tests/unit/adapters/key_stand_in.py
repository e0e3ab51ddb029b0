"""The process that holds keys, with parts of it replaced: run as
`key_stand_in.py ROOT [LEAK DIRECTORY]`.

Without KMS: a wrapped key's `ciphertext` is the key in base64 itself, or, where the account names
an endpoint, what that answers. An object is `s3://` and its password in hex. LEAK is a fault built
in on purpose, so that the search for leaks is seen to find it.
"""

from __future__ import annotations

import base64
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, sys.argv[1])

from kafkaops.adapters import key_process
from kafkaops.adapters.key_request import Account, Ran
from kafkaops.ports.disks import Key


def fetch(key: Key, account: Account) -> bytearray:
    if key.mode == "ephemeral":
        return key_process.drawn()
    if account.endpoint_url:
        asked = urllib.request.Request(account.endpoint_url, key.ciphertext.encode())
        with urllib.request.urlopen(asked) as answer:
            return bytearray(answer.read())
    if key.mode == "s3":
        return bytearray.fromhex(key.object.removeprefix("s3://"))
    return bytearray(base64.b64decode(key.ciphertext))


def by_argument(argv: Sequence[str], keys: Sequence[memoryview], env: Mapping[str, str]) -> Ran:
    return key_process.handed([*argv, "--header", keys[0].hex()], keys, env)


def by_environment(argv: Sequence[str], keys: Sequence[memoryview], env: Mapping[str, str]) -> Ran:
    secret = base64.b64encode(keys[0]).decode()
    return key_process.handed(argv, keys, {**env, "KEY": secret})


def by_file(argv: Sequence[str], keys: Sequence[memoryview], env: Mapping[str, str]) -> Ran:
    Path(sys.argv[3], "key").write_bytes(keys[0])
    return key_process.handed(argv, keys, env)


def by_answer(argv: Sequence[str], keys: Sequence[memoryview], env: Mapping[str, str]) -> Ran:
    ran = key_process.handed(argv, keys, env)
    return Ran(ran.code or 1, ran.err + keys[0].hex())


LEAKS = {
    "argument": by_argument,
    "environment": by_environment,
    "file": by_file,
    "answer": by_answer,
}

if __name__ == "__main__":
    leak = sys.argv[2] if len(sys.argv) > 2 else ""
    if leak == "core":
        key_process.main(fetch, harden=lambda: os.umask(0o077) and None)
    else:
        key_process.main(fetch, LEAKS.get(leak))
