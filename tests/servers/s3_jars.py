"""What Spark's JVMs need for `s3a://`, fetched by Ivy, which is among Spark's jars.

It is Hadoop's filesystem, and those modules of the AWS SDK that it uses; the bundle that it asks
for has all services, and is fifty times as large.
"""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import tensorsparkml as tsm

_SDK = "2.35.4"
# With all that they need themselves, so that Ivy reads no POMs, which takes most of the time.
_MODULES = """
annotations apache-client arns auth aws-core aws-query-protocol aws-xml-protocol checksums
checksums-spi crt-core endpoints-spi http-auth http-auth-aws http-auth-aws-eventstream
http-auth-spi http-client-spi identity-spi json-utils metrics-spi netty-nio-client profiles
protocol-core regions retries retries-spi s3 s3-transfer-manager sdk-core third-party-jackson-core
utils utils-lite
"""
_SETTINGS = """
<ivysettings>
  <settings defaultResolver="public"/>
  <resolvers>
    <ibiblio name="public" m2compatible="true" usepoms="false" useMavenMetadata="false"/>
  </resolvers>
</ivysettings>
"""


def s3_jars(cache: Path) -> list[Path]:
    """The jars: 12 MB, downloaded once.

    Raises:
        OSError, TimeoutExpired: They cannot be downloaded.
    """
    tsm.ensure_java()
    import pyspark

    own = Path(pyspark.__file__).parent / "jars"
    [ivy] = own.glob("ivy-*.jar")
    [client] = own.glob("hadoop-client-api-*.jar")
    hadoop = client.stem.rpartition("-")[2]
    jars = cache / f"hadoop-aws-{hadoop}"
    if not jars.exists():
        with TemporaryDirectory(dir=cache) as scratch:
            _fetch(ivy, hadoop, Path(scratch)).rename(jars)
    return sorted(jars.iterdir())


def _fetch(ivy: Path, hadoop: str, folder: Path) -> Path:
    wanted = [
        ("org.apache.hadoop", "hadoop-aws", hadoop),
        *(("software.amazon.awssdk", name, _SDK) for name in _MODULES.split()),
        ("software.amazon.eventstream", "eventstream", "1.0.1"),
        ("software.amazon.s3.analyticsaccelerator", "analyticsaccelerator-s3", "1.3.1"),
        ("org.reactivestreams", "reactive-streams", "1.0.4"),
    ]
    dependencies = "\n".join(
        f'<dependency org="{organisation}" name="{name}" rev="{version}" transitive="false"/>'
        for organisation, name, version in wanted
    )
    (folder / "ivysettings.xml").write_text(_SETTINGS)
    (folder / "ivy.xml").write_text(
        '<ivy-module version="2.0"><info organisation="tests" module="s3"/>\n'
        f"<dependencies>\n{dependencies}\n</dependencies></ivy-module>\n"
    )
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    done = subprocess.run(
        [str(java), "-cp", str(ivy), "org.apache.ivy.Main", "-settings", "ivysettings.xml",
         "-ivy", "ivy.xml", "-retrieve", "jars/[artifact]-[revision].[ext]"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    found = list((folder / "jars").glob("*.jar"))
    if done.returncode or len(found) < len(wanted):
        raise OSError(f"{len(found)} of {len(wanted)} jars were downloaded:\n{done.stdout[-4000:]}")
    return folder / "jars"
