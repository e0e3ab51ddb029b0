"""Load a config: find the file, lay contexts, environment and flags over it, check everything.

Precedence: flag > environment > context > file > default. Invariant: what comes out is
complete, valid and absolute (paths no longer depend on where the command was typed), and
every value knows where it came from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml
from pydantic import ValidationError

from kafkaops.config import document
from kafkaops.config.checks import check
from kafkaops.config.faults import Fault, InvalidConfig, of_validation
from kafkaops.config.origin import Layer, Path, leaves, merge, nest, origin_of
from kafkaops.config.schema import Config
from kafkaops.engine.errors import ConfigError, UsageFault

DEFAULT_FILE = "kafkaops.yaml"
ENV_FILE = "KAFKAOPS_CONFIG"
ENV_CONTEXT = "KAFKAOPS_CONTEXT"
ENV_CONTEXTS = "KAFKAOPS_CONTEXTS"
ENV_PREFIX = "KAFKAOPS_"
ENV_NESTING = "__"

FILES = ("ca_file", "cert_file", "key_file")


@dataclass(frozen=True)
class Loaded:
    """A valid config, the file it came from, and the origin of each value by key path."""

    config: Config
    file: FilePath
    origins: Mapping[Path, str] = field(default_factory=dict)

    def origin(self, path: Path) -> str:
        return self.origins.get(path, "default")

    def values(self) -> list[tuple[str, Any, str]]:
        """Every leaf: dotted key, value, origin."""
        dumped = self.config.model_dump(mode="json")
        return [(".".join(p), value, self.origin(p)) for p, value in leaves(dumped)]


def load(
    file: FilePath | None = None,
    *,
    sets: Sequence[str] = (),
    context: str | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: FilePath | None = None,
) -> Loaded:
    """Load the config. `sets` are flags as `key.path=value`; `file` comes from `-c`.

    Raises ConfigError (unreadable, not YAML), InvalidConfig (all its faults), UsageFault (a
    flag that is no assignment).
    """
    environ = os.environ if environ is None else environ
    cwd = cwd or FilePath.cwd()
    chosen = context or environ.get(ENV_CONTEXT) or ""
    over, context_file = _context(chosen, environ) if chosen else (None, None)
    path = _find(file, context_file, environ, cwd)
    main = document.read(path)
    layers = [Layer(f"file:{path.name}", main.values, main.lines)]
    if over is not None:
        layers.append(over)
    layers.extend(_environment(environ))
    layers.extend(_flag(text) for text in sets)
    merged, origins = merge(layers)
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        raise InvalidConfig(of_validation(error, origins), where=str(path)) from error
    faults = check(config)
    if faults:
        placed = [
            Fault(f.key, f.message, origin_of(tuple(f.key.split(".")), origins)) for f in faults
        ]
        raise InvalidConfig(placed, where=str(path))
    return Loaded(_absolute(config, path.resolve().parent), path, origins)


def _find(
    file: FilePath | None,
    context_file: FilePath | None,
    environ: Mapping[str, str],
    cwd: FilePath,
) -> FilePath:
    if file is not None:
        return cwd / file
    if environ.get(ENV_FILE):
        return cwd / environ[ENV_FILE]
    if context_file is not None:
        return context_file
    path = cwd / DEFAULT_FILE
    if not path.exists():
        raise ConfigError(
            "KO-CONFIG-NONE",
            f"no config: neither -c FILE nor {ENV_FILE} is given, and there is no"
            f" {DEFAULT_FILE} here",
            where=str(cwd),
            hint="kafkaops config validate -c FILE",
        )
    return path


def _contexts_file(environ: Mapping[str, str]) -> FilePath:
    if environ.get(ENV_CONTEXTS):
        return FilePath(environ[ENV_CONTEXTS])
    base = environ.get("XDG_CONFIG_HOME") or str(FilePath.home() / ".config")
    return FilePath(base) / "kafkaops" / "contexts.yaml"


def _context(name: str, environ: Mapping[str, str]) -> tuple[Layer, FilePath | None]:
    """The named context: `NAME: {config: FILE, set: {key.path: value}}` in the contexts file."""
    path = _contexts_file(environ)
    contexts = document.read(path)
    entry = contexts.values.get(name)
    if not isinstance(entry, Mapping):
        known = ", ".join(sorted(map(str, contexts.values))) or "none"
        raise ConfigError(
            "KO-CONTEXT-UNKNOWN",
            f"there is no context {name!r}; known: {known}",
            where=str(path),
        )
    unknown = sorted(set(map(str, entry)) - {"config", "set"})
    if unknown or not isinstance(entry.get("set", {}), Mapping):
        raise ConfigError(
            "KO-CONTEXT-INVALID",
            f"context {name!r} may have `config: FILE` and `set:` (key paths to values) only",
            where=str(path),
        )
    values, _ = merge(
        [
            Layer("", nest(tuple(str(key).split(".")), value), {})
            for key, value in (entry.get("set") or {}).items()
        ]
    )
    file = entry.get("config")
    found = path.parent / FilePath(str(file)).expanduser() if file else None
    return Layer(f"context:{name}", values, {}), found


def _environment(environ: Mapping[str, str]) -> list[Layer]:
    """`KAFKAOPS_CUTOVER__TTL=30` sets `cutover.ttl`; names without `__` are not config keys."""
    layers = []
    for name in sorted(environ):
        if name.startswith(ENV_PREFIX) and ENV_NESTING in name[len(ENV_PREFIX) :]:
            keys = tuple(name[len(ENV_PREFIX) :].lower().split(ENV_NESTING))
            layers.append(Layer(f"env:{name}", nest(keys, _scalar(environ[name], name)), {}))
    return layers


def _flag(text: str) -> Layer:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UsageFault(
            "KO-SET-SYNTAX",
            f"--set {text!r} is not KEY.PATH=VALUE",
            hint="for example --set cutover.ttl=30",
        )
    return Layer("flag:--set", nest(tuple(key.split(".")), _scalar(value, f"--set {key}")), {})


def _scalar(text: str, where: str) -> Any:
    """A value as YAML would read it, so that numbers, booleans and [lists] can be given."""
    try:
        return yaml.safe_load(text) if text.strip() else ""
    except yaml.YAMLError as error:
        raise ConfigError(
            "KO-CONFIG-VALUE", f"{text!r} is not a YAML value", where=where
        ) from error


def _absolute(config: Config, base: FilePath) -> Config:
    """Paths of the config made absolute; they are written relative to the config file."""

    def join(value: str) -> str:
        return os.path.normpath(base / FilePath(value).expanduser()) if value else value

    def reference(secret: str | None) -> str | None:
        if secret is None or not secret.startswith("file:"):
            return secret
        return "file:" + join(secret.removeprefix("file:"))

    changes: dict[str, Any] = {
        "state": config.state.model_copy(update={"dir": join(config.state.dir)})
    }
    if config.ssh.config_file:
        file = join(config.ssh.config_file)
        changes["ssh"] = config.ssh.model_copy(update={"config_file": file})
    if config.lab is not None:
        changes["lab"] = config.lab.model_copy(update={"dir": join(config.lab.dir)})
    for colour, spec in config.clusters.items():
        found = {"security": spec.security, "client_security": spec.client_security}
        changes[colour] = spec.model_copy(
            update={
                key: security.model_copy(
                    update={name: join(getattr(security, name)) for name in FILES}
                    | {"password": reference(security.password)}
                )
                for key, security in found.items()
                if security is not None
            }
        )
    changes["versions"] = {
        name: version.model_copy(
            update={"source": version.source if "://" in version.source else join(version.source)}
        )
        for name, version in config.versions.items()
    }
    changes["users"] = {name: reference(ref) for name, ref in config.users.items()}
    return config.model_copy(update=changes)
