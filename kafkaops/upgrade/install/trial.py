"""A start of the new version that serves nobody: the unit's own Java and flags, asked for the
version.

It finds what no table knows: a Java that is too old, a flag that this Java no longer takes, a
logging configuration that the new version cannot read. The running process is the only one that
knows its flags for sure, so its command line is what is tried, less what would disturb it: agents
and ports that it holds, its heap, its own log files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kafkaops.engine.errors import StepFailed
from kafkaops.ports.host import Host
from kafkaops.upgrade.install.place import Place
from kafkaops.upgrade.install.release import running

MAIN = "kafka.Kafka"
TIMEOUT = 60.0
LOGS = "/tmp/kafkaops-trial"
VALUED = {"-cp", "-classpath", "--class-path"}
"""JVM options whose value is a word of its own."""
DROPPED = (
    "-javaagent:",
    "-agentlib:",
    "-agentpath:",
    "-Dcom.sun.management.jmxremote",
    "-Dkafka.logs.dir=",
    "-Xms",
    "-Xmx",
    "-Xlog:",
    "-Xloggc:",
    "-XX:+AlwaysPreTouch",
    "-XX:OnOutOfMemoryError",
    "-XX:SharedArchiveFile",
    "-XX:ArchiveClassesAtExit",
    "-XX:DumpLoadedClassList",
    "-XX:StartFlightRecording",
)
COMPLAINTS = re.compile(
    r"^(?:.*\bERROR StatusLogger\b.*|log4j:ERROR.*|.*Could not find a logging.*)$", re.MULTILINE
)
SHOWN = 400


def command(argv: Sequence[str], olds: Sequence[str], home: str) -> list[str]:
    """The command line to try, made of a running broker's. `olds` are the names of where that runs
    from, `home` where the new version lies. ValueError: it is no broker's."""
    if MAIN not in argv:
        raise ValueError(f"its command line does not start {MAIN}")
    java, *flags = argv[: argv.index(MAIN)]
    kept: list[str] = []
    words = iter(flags)
    for word in words:
        if word in VALUED:
            next(words, None)
        elif not word.startswith(DROPPED):
            for old in olds:
                word = word.replace(old, home)
            kept.append(word)
    more = ["-Xmx128m", f"-Dkafka.logs.dir={LOGS}", "-cp", f"{home}/libs/*"]
    return [java, *kept, *more, MAIN, "--version"]


def of(host: Host, pid: int, place: Place, version: str) -> None:
    """Try it on the host, as the user whose process `pid` is. StepFailed KO-VERSION-TRIAL with
    what Java or the logging said."""
    argv = host.run(("cat", f"/proc/{pid}/cmdline")).out.split("\0")
    now = running(host.open_files(pid))
    olds = [place.link, *([now.root] if now else [])]
    try:
        line = command(
            [word for word in argv if word],
            [host.where(old) for old in olds],
            host.where(place.home(version)),
        )
    except ValueError as error:
        raise _failed(host, str(error)) from None
    user = host.run(("stat", "-c", "%U", f"/proc/{pid}")).out.strip()
    # root's own files in the broker's log directory would keep the broker from writing there
    other = [] if user in {"", "root", "UNKNOWN"} else ["runuser", "-u", user, "--"]
    tried = host.run([*other, *line], timeout=TIMEOUT)
    said = f"{tried.out}\n{tried.err}"
    if tried.code != 0:
        raise _failed(host, f"it ended with {tried.code}: {_short(tried.err or tried.out)}")
    complaint = COMPLAINTS.search(said)
    if complaint is not None:
        raise _failed(host, f"its logging cannot be set up: {complaint[0].strip()[:SHOWN]}")
    if version not in tried.out:
        raise _failed(host, f"it says it is {_short(tried.out)}, not {version}")


def _short(text: str) -> str:
    return " / ".join(line.strip() for line in text.splitlines() if line.strip())[:SHOWN]


def _failed(host: Host, why: str) -> StepFailed:
    return StepFailed(
        "KO-VERSION-TRIAL",
        f"the new version does not start with this unit's Java and flags: {why}",
        where=host.name,
        hint="correct the unit on that host; nothing was stopped",
    )
