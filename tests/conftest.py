"""What holds for all tests."""

import os

from hypothesis import settings

# The JVMs of a test live for a minute, in which the second compiler and parallel garbage collection
# cost more than they bring: a seventh of all CPU time on two cores.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

# How long an example takes says what else runs on the machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
