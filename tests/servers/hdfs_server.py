"""A real HDFS on this machine: a NameNode and a DataNode of Hadoop 2.7.

Their jars are in the source distribution of PySpark 2.4, the last one that carries the servers.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.sax.saxutils import escape

from server_processes import HOST, filesystems_dropped, free_ports, running

import tensorsparkml as tsm

_ARCHIVE = "pyspark==2.4.8"
# pip runs its setup.py, which knows no newer ones.
_CONSTRAINTS = "setuptools<70\npypandoc<1.8\n"
_JARS = ("avro", "commons-", "guava-", "hadoop-", "htrace-", "jackson-", "javax.", "jersey-",
         "jetty-", "leveldbjni", "log4j", "netty-", "protobuf-java", "slf4j-", "xercesImpl",
         "xmlenc")  # fmt: skip
_OPENED = ("java.lang", "java.nio", "sun.nio.ch", "java.util", "java.io", "java.net")
_PACKAGE = "org.apache.hadoop.hdfs.server"


@dataclass(frozen=True)
class HdfsServer:
    """A NameNode and its DataNode.

    Attributes:
        url: The URI of its root, such as `hdfs://127.0.0.1:8020`.
    """

    url: str

    def filesystem(self) -> Any:
        import fsspec

        return fsspec.filesystem("hdfs", host=HOST, port=int(self.url.rpartition(":")[2]))


def hadoop_jars(cache: Path) -> Path:
    """A folder of jars: downloaded once, 220 MB of which 40 are kept."""
    jars = cache / "hadoop-2.7.3"
    if not jars.exists():
        with TemporaryDirectory(dir=cache) as scratch:
            constraints = Path(scratch, "constraints.txt")
            constraints.write_text(_CONSTRAINTS)
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch,
                 _ARCHIVE],
                env={**os.environ, "PIP_CONSTRAINT": str(constraints),
                     "PIP_BUILD_CONSTRAINT": str(constraints)},
                check=True,
            )  # fmt: skip
            (archive,) = Path(scratch).glob("*.tar.gz")
            unpacked = Path(scratch, "jars")
            unpacked.mkdir()
            with tarfile.open(archive) as members:
                for member in members:
                    name = member.name.rpartition("/")[2]
                    if name.startswith(_JARS) and name.endswith(".jar"):
                        with members.extractfile(member) as source:
                            (unpacked / name).write_bytes(source.read())
            unpacked.rename(jars)
    return jars


def write_settings(path: Path, settings: dict[str, Any]) -> None:
    properties = "".join(
        f"<property><name>{name}</name><value>{escape(str(value))}</value></property>\n"
        for name, value in settings.items()
    )
    path.write_text(f"<configuration>\n{properties}</configuration>\n")


@contextmanager
def hdfs_server(folder: Path, cache: Path) -> Iterator[HdfsServer]:
    """A server that keeps its data in a folder."""
    jars = hadoop_jars(cache)
    tsm.ensure_java()
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    ports = free_ports(6)
    server = HdfsServer(f"hdfs://{HOST}:{ports[0]}")
    for service in ("hdfs", "datanode"):
        (folder / "web" / "webapps" / service / "WEB-INF").mkdir(parents=True)
    conf = folder / "conf"
    conf.mkdir()
    write_settings(conf / "core-site.xml", {"fs.defaultFS": server.url, "hadoop.tmp.dir": folder})
    write_settings(
        conf / "hdfs-site.xml",
        {
            "dfs.replication": 1,
            "dfs.permissions.enabled": "false",
            "dfs.webhdfs.enabled": "false",
            "dfs.namenode.safemode.extension": 0,
            "dfs.namenode.http-address": f"{HOST}:{ports[1]}",
            "dfs.datanode.address": f"{HOST}:{ports[2]}",
            "dfs.datanode.http.address": f"{HOST}:{ports[3]}",
            "dfs.datanode.ipc.address": f"{HOST}:{ports[4]}",
            "dfs.namenode.secondary.http-address": f"{HOST}:{ports[5]}",
            "dfs.datanode.hostname": HOST,
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        },
    )
    (conf / "log4j.properties").write_text(
        "log4j.rootLogger=INFO, out\n"
        "log4j.appender.out=org.apache.log4j.ConsoleAppender\n"
        "log4j.appender.out.layout=org.apache.log4j.SimpleLayout\n"
    )
    base = [
        str(java), "-Xmx256m", *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENED),
        "-cp", f"{conf}:{folder / 'web'}:{jars}/*",
    ]  # fmt: skip
    name_node = [*base, f"{_PACKAGE}.namenode.NameNode"]
    subprocess.run([*name_node, "-format", "-force", "-nonInteractive"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    def writable() -> bool:
        """The NameNode answers, and knows a DataNode."""
        try:
            filesystem = server.filesystem()
            filesystem.pipe("/ready", b"yes")
        except (OSError, RuntimeError):
            return False
        return True

    log = folder / "name_node.log"
    with ExitStack() as stack:
        stack.enter_context(
            running(name_node, log, lambda: "IPC Server listener" in log.read_text())
        )
        stack.enter_context(
            running([*base, f"{_PACKAGE}.datanode.DataNode"], folder / "data_node.log", writable)
        )
        stack.enter_context(filesystems_dropped("hdfs"))
        yield server
