"""A YAML file as values and the line of every key.

Invariant: what YAML would pass over in silence (a key given twice, a second document) is an
error here, with its line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml

from kafkaops.config.origin import Path
from kafkaops.engine.errors import ConfigError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Document:
    """One file: its nested values, and for each key path the line where it stands (from 1)."""

    file: str
    values: Mapping[str, Any]
    lines: Mapping[Path, int]


def read(path: FilePath) -> Document:
    """Read a config file. ConfigError names the file, and the line where YAML stumbles."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            "KO-CONFIG-READ", f"{path} is not UTF-8 text (byte {error.start})", where=str(path)
        ) from error
    except OSError as error:
        raise ConfigError(
            "KO-CONFIG-READ",
            f"cannot read {path}: {error.strerror or error}",
            where=str(path),
            hint="name the file with -c FILE or KAFKAOPS_CONFIG",
        ) from error
    return parse(text, str(path))


def parse(text: str, file: str) -> Document:
    """As `read`, from text; `file` is for messages."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise _syntax(error, file) from error
    lines: dict[Path, int] = {}
    if node is None:
        raise ConfigError("KO-CONFIG-YAML", f"{file} is empty", where=file)
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            "KO-CONFIG-YAML",
            f"{file} must be a mapping of keys to values, and is not",
            where=f"{file}:{node.start_mark.line + 1}",
        )
    _walk(node, (), lines, file)
    try:
        values = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:  # constructors fail later than the grammar (dates, tags)
        raise _syntax(error, file) from error
    return Document(file, values, lines)


def _walk(node: Any, path: Path, lines: dict[Path, int], file: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(getattr(key, "value", key)))
            line = key.start_mark.line + 1
            if here in lines:
                raise ConfigError(
                    "KO-CONFIG-YAML",
                    f"{'.'.join(here)} is given twice, on lines {lines[here]} and {line}",
                    where=f"{file}:{line}",
                    hint="keep one of them",
                )
            lines[here] = line
            _walk(value, here, lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*path, str(index))
            lines[here] = value.start_mark.line + 1
            _walk(value, here, lines, file)


def _syntax(error: yaml.YAMLError, file: str) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
    line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return ConfigError(
        "KO-CONFIG-YAML",
        f"{file} is not valid YAML{line}: {problem}",
        where=where,
        hint="often a missing space after ':' or a tab instead of spaces",
    )
