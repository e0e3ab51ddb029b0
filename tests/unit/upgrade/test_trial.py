"""The start of the new version that serves nobody. What Java and log4j say was recorded of OpenJDK
17, 21 and 25 with the jars of Kafka 3.9.2 and 4.3.1; times and paths are shortened."""

from __future__ import annotations

import pytest

from kafkaops.engine.errors import StepFailed
from kafkaops.ports.host import Ran
from kafkaops.upgrade.install import trial
from kafkaops.upgrade.install.place import Place
from tests.crash.fake_node_host import NodeHost
from tests.crash.restart_scene import Restart

LINK, ROOT, HOME = "/opt/kafka/current", "/opt/kafka/versions/3.9.2", "/opt/kafka/versions/4.3.1"
PLACE = Place("/opt/kafka")
ENDED = (
    "\nError: Could not create the Java Virtual Machine."
    "\nError: A fatal exception has occurred. Program will exit.\n"
)


def host(line: tuple[str, ...] = (), said: Ran | None = None) -> NodeHost:
    found = Restart().hosts["blue-1"]
    found.trial = said
    found.line = line or found.line
    return found


def passes(found: NodeHost) -> tuple[str, ...]:
    """The command line that was tried, and is fine."""
    trial.of(found, found.node.pid, PLACE, "4.3.1")
    return found.tried[-1]


def refusal(found: NodeHost) -> str:
    """What is wrong with 4.3.1 on this host."""
    with pytest.raises(StepFailed) as caught:
        trial.of(found, found.node.pid, PLACE, "4.3.1")
    error = caught.value
    assert (error.code, error.where, int(error.exit)) == ("KO-VERSION-TRIAL", "blue-1", 8)
    assert "nothing was stopped" in error.hint
    return error.message


# what is tried


def flags(*given: str, brought: tuple[str, ...] = ()) -> list[str]:
    """What is left of these flags, in their order."""
    line = ["java", *given, "-cp", f"{LINK}/libs/*", "kafka.Kafka", "/etc/kafka/server.properties"]
    java, *rest = trial.command(line, [LINK, ROOT], HOME, brought)
    assert java == "java"
    ends = [*trial.HEAP, f"-Dkafka.logs.dir={trial.LOGS}", "-cp", f"{HOME}/libs/*"]
    assert rest[-7:] == [*ends, "kafka.Kafka", "--version"]
    return rest[:-7]


@pytest.mark.parametrize(
    "flag",
    [
        # held by the broker that runs: a second start would fail, or take it over
        "-javaagent:/opt/jmx/agent.jar=7071:/etc/jmx.yaml",
        "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=5005",
        "-agentpath:/opt/async/libasyncProfiler.so",
        "-Xrunjdwp:transport=dt_socket,server=y,suspend=y,address=5005",
        "-Dcom.sun.management.jmxremote",
        "-Dcom.sun.management.jmxremote.port=9999",
        "-Dcom.sun.management.config.file=/etc/jmx.properties",
        # its files
        "-Dkafka.logs.dir=/var/log/kafka",
        "-Xlog:gc*:file=/var/log/kafka/gc.log:time,tags:filecount=10,filesize=100M",
        "-Xloggc:/var/log/kafka/gc.log",
        "-XX:SharedArchiveFile=/var/cache/kafka.jsa",
        "-XX:+AutoCreateSharedArchive",
        "-XX:StartFlightRecording=filename=/var/log/kafka/x.jfr",
        "-XX:OnOutOfMemoryError=/usr/local/bin/page-somebody",
        # a second heap of that size beside it
        "-Xms6g",
        "-Xmx6g",
        "-XX:+AlwaysPreTouch",
        # which a heap of 128 MiB is refused for
        "-XX:SoftMaxHeapSize=5g",
    ],
)
def test_what_would_disturb_the_broker_that_runs_is_left_out(flag: str) -> None:
    assert flags("-server", flag, "-XX:+UseG1GC") == ["-server", "-XX:+UseG1GC"]


@pytest.mark.parametrize(
    "flag",
    [
        "-XX:+UseConcMarkSweepGC",
        "-XX:+PrintGCDateStamps",
        "-XX:MaxGCPauseMillis=20",
        "-XX:InitialHeapSize=6g",  # -Xms speaks after it
        "-Djava.security.auth.login.config=/etc/kafka/jaas.conf",
        "-Djava.security.manager",
        "-Dlog4j.configuration=file:/etc/kafka/log4j.properties",
        "--add-opens=java.base/java.lang=ALL-UNNAMED",
        "@/etc/kafka/jvm.options",
        "-Dx=/opt/kafka/current-tools/x",
    ],
)
def test_what_the_new_java_may_refuse_is_tried(flag: str) -> None:
    assert flags(flag) == [flag]


def test_paths_into_the_old_version_lead_into_the_new_one() -> None:
    assert flags(f"-Dx={LINK}/x:{ROOT}/y", f"-Dy={ROOT}") == [
        f"-Dx={HOME}/x:{HOME}/y",
        f"-Dy={HOME}",
    ]


@pytest.mark.parametrize("word", ["-cp", "-classpath", "--class-path"])
def test_the_old_class_path_is_not_tried(word: str) -> None:
    assert flags(word, f"{ROOT}/libs/a.jar:{ROOT}/libs/b.jar", "-server") == ["-server"]


def test_what_the_unit_adds_to_the_class_path_is_tried_with_the_new_version() -> None:
    """An appender or a layout of its own, without which its logging cannot be set up."""
    other = "/usr/share/kafka/bin/../libs"  # a link to the link
    path = f"/opt/log/layout.jar:{LINK}/bin/../libs/a.jar:{ROOT}/libs/*:/opt/kafka/current-x/*"
    path += f":{other}/kafka_2.13-3.9.2.jar:{other}/log4j.jar"
    line = trial.command(["java", "-cp", path, "kafka.Kafka", "s.p"], [LINK, ROOT], HOME)
    wanted = f"{HOME}/libs/*:/opt/log/layout.jar:/opt/kafka/current-x/*"
    assert line[line.index("-cp") + 1] == wanted


SCRIPTS = f"-Dlog4j.configuration=file:{LINK}/bin/../config/log4j.properties"
UNITS = f"-Dlog4j.configuration=file:{LINK}/config/log4j.properties"
YAML = f"-Dlog4j2.configurationFile={LINK}/bin/../config/log4j2.yaml"


@pytest.mark.parametrize(
    ("flag", "brought", "becomes"),
    [
        # Kafka's own script before 4.0, and the new version's choice
        (SCRIPTS, ("log4j2.yaml",), f"-Dlog4j2.configurationFile={HOME}/config/log4j2.yaml"),
        (
            SCRIPTS,
            ("log4j2.properties",),
            f"-Dlog4j2.configurationFile={HOME}/config/log4j2.properties",
        ),
        (
            SCRIPTS.replace(LINK, ROOT),
            ("log4j2.yaml",),
            f"-Dlog4j2.configurationFile={HOME}/config/log4j2.yaml",
        ),
        # back
        (
            YAML,
            ("log4j.properties",),
            f"-Dlog4j.configuration=file:{HOME}/config/log4j.properties",
        ),
        # both have it
        (YAML, ("log4j2.yaml",), YAML.replace(LINK, HOME)),
        (SCRIPTS, ("log4j.properties",), SCRIPTS.replace(LINK, HOME)),
        # nobody's choice but the unit's: it stays, and is complained of where it is not there
        (UNITS, ("log4j2.yaml",), UNITS.replace(LINK, HOME)),
        (SCRIPTS, (), SCRIPTS.replace(LINK, HOME)),
    ],
)
def test_the_start_script_takes_the_logging_of_its_own_version(
    flag: str, brought: tuple[str, ...], becomes: str
) -> None:
    assert flags(flag, brought=brought) == [becomes]


def test_what_the_new_version_brings_is_looked_for_on_the_host() -> None:
    """Whose files are elsewhere than they are called, as the lab's."""
    old = SCRIPTS.replace(LINK, f"/hosts/blue-1{LINK}")
    found = host(("java", old, "kafka.Kafka", "s.p"))
    assert old.replace(LINK, HOME) in passes(found)
    found.times[f"{HOME}/config/log4j2.yaml"] = 1.0
    new = f"-Dlog4j2.configurationFile=/hosts/blue-1{HOME}/config/log4j2.yaml"
    assert new in passes(found)


@pytest.mark.parametrize(
    ("user", "first"),
    [("kafka", ("runuser", "-u", "kafka", "--")), ("root", ("java",)), ("UNKNOWN", ("java",))],
)
def test_it_is_tried_as_the_units_user_whose_logs_are_its_own(
    user: str, first: tuple[str, ...]
) -> None:
    found = host()
    found.user = user
    line = passes(found)
    assert line[: len(first)] == first
    assert f"-Dkafka.logs.dir={trial.LOGS}-{user}" in line


def test_a_java_without_a_path_is_the_one_that_the_units_own_path_leads_to() -> None:
    found = host()
    found.path = "PATH=/opt/jdk-17/bin:/usr/bin"
    wanted = ("runuser", "-u", "kafka", "--", "env", found.path, "java")
    assert passes(found)[: len(wanted)] == wanted
    found.line = ("/usr/lib/jvm/java-11/bin/java", *found.line[1:])
    assert passes(found)[4] == found.line[0]


def test_a_process_that_is_no_broker() -> None:
    found = host(("java", "-jar", "kafka-agent.jar"))
    assert "does not start kafka.Kafka" in refusal(found)
    assert found.tried == []


# what it says


def java(*err: str, out: str = "") -> Ran:
    return Ran(1, out, "".join(err))


REFUSED = {
    "Java too old": (
        java(
            "Error: LinkageError occurred while loading main class kafka.Kafka\n"
            "\tjava.lang.UnsupportedClassVersionError: kafka/Kafka has been compiled by a more"
            " recent version of the Java Runtime (class file version 61.0), this version of the"
            " Java Runtime only recognizes class file versions up to 55.0\n"
        ),
        "UnsupportedClassVersionError: kafka/Kafka has been compiled by a more recent version",
    ),
    "no Java, as the unit's user": (
        java("runuser: failed to execute /usr/lib/jvm/java-11/bin/java: No such file or directory"),
        "failed to execute /usr/lib/jvm/java-11/bin/java: No such file",
    ),
    "no Java, as root": (
        Ran(
            127,
            "",
            "timeout: failed to run command '/usr/lib/jvm/java-11/bin/java': No such file or"
            " directory\n",
        ),
        "ended with 127: timeout: failed to run command '/usr/lib/jvm/java-11/bin/java'",
    ),
    "a collector that is gone": (
        java("Unrecognized VM option 'UseConcMarkSweepGC'", ENDED),
        "Unrecognized VM option 'UseConcMarkSweepGC'",
    ),
    "a flag of Java 8's collection log": (
        java("Unrecognized VM option 'PrintGCDateStamps'", ENDED),
        "Unrecognized VM option 'PrintGCDateStamps'",
    ),
    "a security manager, which 24 took away": (
        java(
            out="Error occurred during initialization of VM\n"
            "java.lang.Error: A command line option has attempted to allow or enable the Security"
            " Manager. Enabling a Security Manager is not supported.\n"
            "\tat java.lang.System.initPhase3(java.base@25.0.3/System.java:1970)\n\n"
        ),
        "Enabling a Security Manager is not supported",
    ),
    "nothing where the version should be": (
        java(
            "Error: Could not find or load main class kafka.Kafka\n"
            "Caused by: java.lang.ClassNotFoundException: kafka.Kafka\n"
        ),
        "Could not find or load main class kafka.Kafka",
    ),
    "it hangs": (Ran(124, "", "not done within 60 s"), "ended with 124: not done within 60 s"),
    "another version": (Ran(0, "3.9.2\n", ""), "it says it is 3.9.2, not 4.3.1"),
    "it says nothing": (Ran(0, "", ""), "it says it is , not 4.3.1"),
}
STAMP = "2026-11-29T22:26:22.671697319Z main ERROR"
GONE = f"{STAMP} Reconfiguration failed: No configuration found for '497470ed' at 'null' in 'null'"
MISLAID = {
    "log4j 2.25: a file that is not there, or of log4j 1": Ran(0, "4.3.1\n", f"{GONE}\n"),
    "log4j 2.24 says it on the other stream": Ran(0, f"{GONE}\n4.3.1\n", ""),
    "log4j 2 with a blank in the time": Ran(0, "4.3.1\n", f"{GONE.replace('T', ' ', 1)}\n"),
    "log4j 2 before 2.9": Ran(
        0, "4.3.1\n", "ERROR StatusLogger Reconfiguration failed: No configuration found\n"
    ),
    "log4j 1: a file that is not there": Ran(
        0,
        "4.3.1\n",
        "log4j:ERROR Could not read configuration file from URL [file:/etc/log4j.properties].\n"
        "java.io.FileNotFoundException: /etc/log4j.properties (No such file or directory)\n"
        "\tat java.base/java.io.FileInputStream.open0(Native Method)\n",
    ),
    "an appender that is gone": Ran(
        0,
        "4.3.1\n",
        f"{STAMP} Unable to create Appender com.example.Gone due to ClassNotFoundException:"
        "com.example.Gone\njava.lang.ClassNotFoundException: com.example.Gone\n",
    ),
    "a log file that may not be written": Ran(
        0,
        "4.3.1\n",
        f"{STAMP} FileManager (/var/log/kafka/server.log) java.io.FileNotFoundException:"
        " /var/log/kafka/server.log (Permission denied)\n",
    ),
    "a broken file, which ends the JVM with a stack trace that does not name it": Ran(
        1,
        f"{STAMP} Error parsing /etc/kafka/log4j2.yaml com.fasterxml.jackson.dataformat.yaml\n",
        'Exception in thread "main" java.lang.ExceptionInInitializerError\n'
        "\tat kafka.Kafka$.<clinit>(Kafka.scala:28)\n\tat kafka.Kafka.main(Kafka.scala)\n"
        'Caused by: java.lang.NullPointerException: Cannot invoke "JsonNode.fields()"\n',
    ),
}
HARMLESS = {
    "it is fine": Ran(0, "4.3.1\n", ""),
    "Kafka's own form": Ran(0, "4.3.1 (Commit:4a2b3c)\n", ""),
    "a warning of log4j 1": Ran(
        0, "4.3.1\n", "log4j:WARN No appenders could be found for logger (kafka.Kafka$).\n"
    ),
    "a warning of Java": Ran(
        0,
        "4.3.1\n",
        "OpenJDK 64-Bit Server VM warning: Ignoring option --illegal-access=permit; support was"
        " removed in 17.0\n",
    ),
    "a collection log on the console": Ran(
        0,
        "[0.001s][warning][gc] -XX:+PrintGCDetails is deprecated. Will use -Xlog:gc* instead.\n"
        "[0.006s][info   ][gc     ] Using G1\n4.3.1\n",
        "",
    ),
    "a line of the broker's own log": Ran(
        0,
        "[2026-11-29 22:27:12,616] INFO Registered `kafka:type=kafka.Log4jController` MBean\n"
        "2026-11-29 22:27:12,617 ERROR something of its own (kafka.Kafka)\n4.3.1\n",
        "",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_java_s_refusals_are_told_in_its_own_words(name: str) -> None:
    said, words = REFUSED[name]
    assert words in refusal(host(said=said))


@pytest.mark.parametrize("name", MISLAID)
def test_a_logging_that_cannot_be_set_up_would_leave_a_broker_without_a_log(name: str) -> None:
    said = MISLAID[name]
    complaint = next(line for line in f"{said.out}{said.err}".splitlines() if "ERROR" in line)
    assert refusal(host(said=said)).endswith(f"its logging cannot be set up: {complaint}")


@pytest.mark.parametrize("name", HARMLESS)
def test_warnings_do_not_stop_an_upgrade(name: str) -> None:
    assert passes(host(said=HARMLESS[name]))


def test_a_long_complaint_is_cut() -> None:
    assert len(refusal(host(said=java("x" * 5000)))) < 600
