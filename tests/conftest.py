"""What holds for all tests."""

import os

# The JVMs of a test live for a minute, in which the second compiler and parallel garbage collection
# cost more than they bring: a seventh of all CPU time on two cores.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
