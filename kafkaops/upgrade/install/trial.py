"""A start of the new version that serves nobody: the unit's own Java and flags, asked for the
version.

It finds what no table knows: a Java that is too old, a flag that this Java no longer takes, a
logging configuration that the new version cannot read. The running process is the only one that
knows its flags for sure, so its command line is what is tried, less what would disturb it: agents
and ports that it holds, its heap, its own log files. One word is the start script's and not the
unit's: a logging configuration that the script took from its own version. The new version's script
takes its own (4.0 went from log4j.properties to log4j2.yaml, KIP-653), so that is tried.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Sequence

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
    "-Xrun",
    "-Dcom.sun.management",
    "-Dkafka.logs.dir=",
    "-Xms",
    "-Xmx",
    "-Xlog:",
    "-Xloggc:",
    "-XX:+AlwaysPreTouch",
    "-XX:SoftMaxHeapSize",
    "-XX:OnOutOfMemoryError",
    "-XX:SharedArchiveFile",
    "-XX:+AutoCreateSharedArchive",
    "-XX:ArchiveClassesAtExit",
    "-XX:DumpLoadedClassList",
    "-XX:StartFlightRecording",
)
SERVER = re.compile(r"kafka_2\.\d+-")
HEAP = ("-Xms16m", "-Xmx128m")
"""Both: they are the last to speak of it, whatever flag said more before."""
LOGGING = re.compile(r"-Dlog4j2?\.configuration(File)?=")
SCRIPTS = "/bin/../config/"
"""In a path that a start script made of where it lies itself."""
BROUGHT = ("log4j2.yaml", "log4j2.properties", "log4j.properties")
"""What a release may bring for its start script to take, in that order."""
# log4j 2 tells of itself with time and thread, without them before 2.9; log4j 1 by its name
COMPLAINTS = re.compile(
    r"^(?:\d{4}-\d\d-\d\d[T ]\S+ main (?:ERROR|FATAL) .*|.*\bERROR StatusLogger\b.*|log4j:ERROR.*"
    r"|.*Could not find a logging.*)$",
    re.MULTILINE,
)
SHOWN = 400


def command(
    argv: Sequence[str],
    olds: Sequence[str],
    home: str,
    brought: Collection[str] = (),
    logs: str = LOGS,
) -> list[str]:
    """The command line to try, made of a running broker's. `olds` are the names of where that runs
    from, `home` where the new version lies, `brought` those of `BROUGHT` that lie there; log files
    go to `logs`. ValueError: it is no broker's."""
    if MAIN not in argv:
        raise ValueError(f"its command line does not start {MAIN}")
    java, *flags = argv[: argv.index(MAIN)]
    kept: list[str] = []
    path: list[str] = []
    words = iter(flags)
    for word in words:
        if word in VALUED:
            path = _beside(next(words, "").split(":"), olds)
        elif not word.startswith(DROPPED):
            kept.append(_logging(word, olds, home, brought) or _moved(word, olds, home))
    more = [*HEAP, f"-Dkafka.logs.dir={logs}", "-cp", ":".join([f"{home}/libs/*", *path])]
    return [java, *kept, *more, MAIN, "--version"]


def _beside(path: Sequence[str], olds: Sequence[str]) -> list[str]:
    """What a class path has besides a Kafka of its own, by whichever name it says that: the unit
    gives it to the new version too, and a logging configuration may need it."""
    kafka = {*olds, *(posixpath.dirname(p) for p in path if SERVER.match(posixpath.basename(p)))}
    return [p for p in path if p and not any(p == k or p.startswith(f"{k}/") for k in kafka)]


def _moved(word: str, olds: Sequence[str], home: str) -> str:
    for old in olds:
        word = re.sub(rf"{re.escape(old)}(?![\w.-])", lambda _: home, word)
    return word


def _logging(word: str, olds: Sequence[str], home: str, brought: Collection[str]) -> str:
    """The new version's word instead of its own start script's; "" where this is no such word, or
    the new version brings that file too."""
    if not brought or not LOGGING.match(word) or posixpath.basename(word) in brought:
        return ""
    if not any(f"{old}{SCRIPTS}" in word for old in olds):
        return ""
    name = next(name for name in BROUGHT if name in brought)
    flag = "log4j.configuration=file:" if name == BROUGHT[-1] else "log4j2.configurationFile="
    return f"-D{flag}{home}/config/{name}"


def of(host: Host, pid: int, place: Place, version: str) -> None:
    """Try it on the host, as the user whose process `pid` is. StepFailed KO-VERSION-TRIAL with
    what Java or the logging said."""
    argv = host.run(("cat", f"/proc/{pid}/cmdline")).out.split("\0")
    now = running(host.open_files(pid))
    olds = [place.link, *([now.root] if now else [])]
    home = place.home(version)
    user = host.run(("stat", "-c", "%U", f"/proc/{pid}")).out.strip()
    try:
        line = command(
            [word for word in argv if word],
            [host.where(old) for old in olds],
            host.where(home),
            [name for name in BROUGHT if host.changed(f"{home}/config/{name}") is not None],
            f"{LOGS}-{user}",
        )
    except ValueError as error:
        raise _failed(host, str(error)) from None
    if "/" not in line[0]:
        line = [*_searched(host, pid), *line]
    # root's own files in the broker's log directory would keep the broker from writing there
    other = [] if user in {"", "root", "UNKNOWN"} else ["runuser", "-u", user, "--"]
    tried = host.run([*other, *line], timeout=TIMEOUT)
    # before the exit code: where a broken file ends the JVM, the stack trace does not name it
    complaint = COMPLAINTS.search(f"{tried.out}\n{tried.err}")
    if complaint is not None:
        raise _failed(host, f"its logging cannot be set up: {complaint[0].strip()[:SHOWN]}")
    if tried.code != 0:
        raise _failed(host, f"it ended with {tried.code}: {_short(tried.err or tried.out)}")
    if version not in tried.out:
        raise _failed(host, f"it says it is {_short(tried.out)}, not {version}")


def _searched(host: Host, pid: int) -> list[str]:
    """What finds a command where the process would: the unit's PATH may not be ours. Nothing else
    of its environment leaves the host: secrets may be in it."""
    path = host.run(("grep", "-z", "^PATH=", f"/proc/{pid}/environ")).out.strip("\0")
    return ["env", path] if path else []


def _short(text: str) -> str:
    return " / ".join(line.strip() for line in text.splitlines() if line.strip())[:SHOWN]


def _failed(host: Host, why: str) -> StepFailed:
    return StepFailed(
        "KO-VERSION-TRIAL",
        f"the new version does not start with this unit's Java and flags: {why}",
        where=host.name,
        hint="correct the unit on that host; nothing was stopped",
    )
