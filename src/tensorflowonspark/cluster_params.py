"""The params of `TFEstimator` that say which nodes it starts, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tensorflowonspark.params import put, string, whole
from tensorflowonspark.TFCluster import InputMode
from tensorsparkml.checks import optional, refuse, switch
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.ml.params import CheckedParams, param

if TYPE_CHECKING:
    from pyspark.ml.param import Param


def _input_mode(name: str, value: Any) -> int:
    if isinstance(value, bool) or value not in (InputMode.TENSORFLOW, InputMode.SPARK):
        refuse(name, "InputMode.SPARK", value)
    if value == InputMode.TENSORFLOW:
        raise ConfigurationError(
            f"{name}=InputMode.TENSORFLOW is not for pipelines, whose fit gets a DataFrame: leave "
            "setInputMode out; or call TFCluster.run for a program that reads its own files"
        )
    return int(value)


class HasClusterSize(CheckedParams):
    """Has `cluster_size`."""

    cluster_size: Param[int] = param("cluster_size", "number of all nodes", whole(1))

    def setClusterSize(self, value: int) -> Self:
        """Set the number of all nodes."""
        return put(self, "cluster_size", value)

    def getClusterSize(self) -> int:
        """Return the number of all nodes."""
        return self.getOrDefault(self.cluster_size)


class HasNumPS(CheckedParams):
    """Has `num_ps` and `driver_ps_nodes`."""

    num_ps: Param[int] = param("num_ps", "number of parameter servers among the nodes", whole(0))
    driver_ps_nodes: Param[bool | None] = param(
        "driver_ps_nodes", "whether parameter servers run on the driver's host", optional(switch)
    )

    def setNumPS(self, value: int) -> Self:
        """Set the number of parameter servers among the nodes."""
        return put(self, "num_ps", value)

    def getNumPS(self) -> int:
        """Return the number of parameter servers."""
        return self.getOrDefault(self.num_ps)

    def setDriverPSNodes(self, value: bool | None) -> Self:
        """Set whether parameter servers run on the driver's host, which a fit does not allow."""
        return put(self, "driver_ps_nodes", value)

    def getDriverPSNodes(self) -> bool | None:
        """Return whether parameter servers run on the driver's host."""
        return self.getOrDefault(self.driver_ps_nodes)


class HasInputMode(CheckedParams):
    """Has `input_mode`."""

    input_mode: Param[int] = param("input_mode", "InputMode.SPARK", _input_mode)

    def setInputMode(self, value: int) -> Self:
        """Set `InputMode.SPARK`, the only one that a fit has."""
        return put(self, "input_mode", value)

    def getInputMode(self) -> int:
        """Return `InputMode.SPARK`."""
        return self.getOrDefault(self.input_mode)


class HasMasterNode(CheckedParams):
    """Has `master_node`."""

    master_node: Param[str | None] = param("master_node", "job name of the chief", optional(string))

    def setMasterNode(self, value: str | None) -> Self:
        """Set the job name of the chief; None for workers alone."""
        return put(self, "master_node", value)

    def getMasterNode(self) -> str | None:
        """Return the job name of the chief."""
        return self.getOrDefault(self.master_node)


class HasProtocol(CheckedParams):
    """Has `protocol`."""

    protocol: Param[str | None] = param("protocol", "protocol of TensorFlow", optional(string))

    def setProtocol(self, value: str | None) -> Self:
        """Set the protocol of TensorFlow, which is `grpc`."""
        return put(self, "protocol", value)

    def getProtocol(self) -> str | None:
        """Return the protocol of TensorFlow."""
        return self.getOrDefault(self.protocol)


class HasReaders(CheckedParams):
    """Has `readers`."""

    readers: Param[int | None] = param(
        "readers", "number of reading threads, for the program", optional(whole(0))
    )

    def setReaders(self, value: int | None) -> Self:
        """Set the number of reading threads, which only the program reads."""
        return put(self, "readers", value)

    def getReaders(self) -> int | None:
        """Return the number of reading threads."""
        return self.getOrDefault(self.readers)


class HasGraceSecs(CheckedParams):
    """Has `grace_secs`."""

    grace_secs: Param[int | None] = param(
        "grace_secs", "ignored: programs get the time that they need", optional(whole(0))
    )

    def setGraceSecs(self, value: int | None) -> Self:
        """Set nothing: programs get the time that they need after their last row."""
        return put(self, "grace_secs", value)

    def getGraceSecs(self) -> int | None:
        """Return what `setGraceSecs` has set."""
        return self.getOrDefault(self.grace_secs)


class HasTensorboard(CheckedParams):
    """Has `tensorboard`."""

    tensorboard: Param[bool | None] = param(
        "tensorboard", "whether a TensorBoard runs beside the chief", optional(switch)
    )

    def setTensorboard(self, value: bool | None) -> Self:
        """Set whether a TensorBoard runs beside the chief."""
        return put(self, "tensorboard", value)

    def getTensorboard(self) -> bool | None:
        """Return whether a TensorBoard runs beside the chief."""
        return self.getOrDefault(self.tensorboard)
