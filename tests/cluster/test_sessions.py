"""Which Spark session a call works with."""

import subprocess
import sys
import threading
from pathlib import Path

from tensorsparkml.driver.spark.session import usable_session

EXPECTED = [
    "there is no active SparkSession; create one: SparkSession.builder.getOrCreate()",
    "spark must be a SparkSession, not 'local[1]'",
    "this SparkSession is stopped; create another one with SparkSession.builder.getOrCreate(), and "
    "create the DataFrame with it",
    "there is no active SparkSession; create one: SparkSession.builder.getOrCreate()",
]


def test_threads_find_the_session_of_the_process(spark):
    found = []
    thread = threading.Thread(target=lambda: found.append(usable_session()))
    thread.start()
    thread.join()
    assert found == [spark]


def test_no_session_and_a_stopped_one_are_told():
    script = Path(__file__).with_name("session_script.py")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert run.stdout.splitlines() == EXPECTED, run.stderr
