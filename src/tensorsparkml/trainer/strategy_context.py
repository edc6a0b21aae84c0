"""The methods of the context for strategies and for training through parameter servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec

from tensorsparkml.checks import checked, function, integer, optional
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.trainer.agent_client import AgentClient
from tensorsparkml.trainer.argument_checks import keras_callbacks, tensorflow_object
from tensorsparkml.trainer.parameter_servers.chief_datasets import RemoteDatasets
from tensorsparkml.trainer.parameter_servers.fit import AsynchronousFit
from tensorsparkml.trainer.parameter_servers.worker_passes import WorkerPasses
from tensorsparkml.trainer.strategies import (
    all_workers_strategy,
    connected_strategy,
    local_strategy,
)

Parameters = ParamSpec("Parameters")


def on_workers(
    method: Callable[Concatenate[Any, Parameters], Any],
) -> Callable[Concatenate[Any, Parameters], Any]:
    """Make a method that returns a dataset run on the workers if they have the rows.

    If main runs on the chief alone, the returned dataset represents the workers' datasets.
    """

    @wraps(method)
    def call(self: Any, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
        if not self._hands_out_steps:
            return method(self, *args, **kwargs)
        return self._remote.dataset(method.__name__, args, kwargs)

    return call


class StrategyContext:
    """The part of `Context` for strategies and for training through parameter servers."""

    num_ps: int
    is_chief: bool
    role: str
    cluster_spec: dict[str, list[str]]
    _shares: int  # how many nodes share what is read
    _reads_feeds: bool
    _datasets_key: str
    _agent: AgentClient
    _rows_of_workers: int = 0  # that the chief knows of

    @cached_property
    def strategy(self) -> Any:
        """The `tf.distribute` strategy.

        - Several nodes: a `MultiWorkerMirroredStrategy`, with a replica on each GPU.
        - The chief of a cluster with parameter servers: a `ParameterServerStrategy`; see
          `parameter_server_strategy`.
        - A single node, an evaluator, or a node in between-graph replication: TensorFlow's default
          strategy, or a `MirroredStrategy` over several GPUs.

        TensorFlow allows a program to create a strategy only before its first operation, so use
        `ctx.strategy` early in main.
        """
        if self._hands_out_steps:
            return connected_strategy(self.cluster_spec, None)
        if self._synchronous:
            self._agent.joint_call(0, "the strategy")
            return all_workers_strategy(self.cluster_spec, self.is_chief)
        return local_strategy(several_gpus=not self.num_ps)

    @checked(variable_partitioner=optional(function))
    def parameter_server_strategy(self, variable_partitioner: Any = None) -> Any:
        """Return a `ParameterServerStrategy` that is connected to all servers; on the chief.

        From then on it is `ctx.strategy`. A program can call this once.

        Args:
            variable_partitioner: Splits variables into shards, at most one for each parameter
                server, such as `tf.distribute.experimental.partitioners.MinSizePartitioner()`. None
                splits no variable. Variables of Keras 3 layers cannot be split.

        Raises:
            ConfigurationError: This is not a chief that dispatches steps to workers, or the program
                has its strategy already.
        """
        if not self._hands_out_steps:
            raise ConfigurationError(
                f"this is the {self.role} of a cluster with {self.num_ps} parameter servers; only "
                "the chief of a cluster with num_ps=1 or more, and without between_graph, can have "
                "a ParameterServerStrategy"
            )
        if "strategy" in vars(self):
            raise ConfigurationError(
                "the program already has its strategy; call ctx.parameter_server_strategy(...) "
                "once, before you use ctx.strategy or create a dataset"
            )
        self.strategy = connected_strategy(self.cluster_spec, variable_partitioner)
        return self.strategy

    @checked(
        model=tensorflow_object("a compiled Keras model"),
        make_dataset=function,
        epochs=integer(1),
        initial_epoch=integer(0),
        validation=optional(function),
        callbacks=keras_callbacks,
    )
    def asynchronous_fit(
        self,
        model: Any,
        make_dataset: Callable[[], Any],
        *,
        epochs: int = 1,
        initial_epoch: int = 0,
        validation: Callable[[], Any] | None = None,
        callbacks: Sequence[Any] = (),
    ) -> Any:
        """Train a Keras 3 model through parameter servers, in place of `model.fit`.

        In an epoch, each worker reads its own share. It applies the gradients of each batch to the
        variables on the parameter servers at once, without waiting for the others.

        Args:
            model: A model that was created and compiled under `ctx.strategy.scope()`.
            make_dataset: A function that returns the dataset, such as
                `lambda: ctx.dataset(batch_size=64, features="x", label="y")`. An epoch is one
                iteration of the dataset.
            epochs: Number of the last epoch.
            initial_epoch: Number of epochs that were trained before.
            validation: A function that returns a dataset, which the workers evaluate after each
                epoch.
            callbacks: Keras callbacks, such as `ctx.callbacks(checkpoint=...)`. They are called for
                epochs, not for batches.

        Returns:
            A `keras.callbacks.History` with loss and metrics over all rows of each epoch.

        Raises:
            ConfigurationError: Main does not run on the chief alone, the model is not compiled, or
                its variables are not on the parameter servers or are split into shards.
            EmptyFeedError: The datasets have no rows.
        """
        fitting = AsynchronousFit(
            model, self._coordinated_strategy(), self._num_remote, self._count_rows_of_workers
        )
        return fitting.fit(make_dataset, epochs, initial_epoch, validation, callbacks)

    @checked(step=function, make_dataset=function)
    def asynchronous_passes(
        self, step: Callable[[Any], Mapping[str, Any]], make_dataset: Callable[[], Any]
    ) -> WorkerPasses:
        """Return passes over a dataset in which the workers run a custom step.

        ```python
        passes = ctx.asynchronous_passes(step, lambda: ctx.dataset(batch_size=64))
        for epoch in range(3):
            sums = passes.run()
        ```

        Args:
            step: A function that gets a batch on a worker. It returns a dict of numbers or of
                tensors, which are summed over all steps of a pass; the shape of these tensors must
                not depend on the batch. It becomes a graph without AutoGraph, so use `tf.cond`
                instead of `if`. Create its variables beforehand, under `ctx.strategy.scope()`.
            make_dataset: As in `asynchronous_fit`.

        Raises:
            ConfigurationError: Main does not run on the chief alone.
        """
        return WorkerPasses(self._coordinated_strategy(), self._num_remote, step, make_dataset)

    @property
    def _hands_out_steps(self) -> bool:
        """Whether main runs on this node alone, which dispatches steps to the workers."""
        return self.is_chief and not self._reads_feeds

    @property
    def _synchronous(self) -> bool:
        return self._shares > 1 and not self.num_ps

    @property
    def _in_step(self) -> bool:
        """Whether the node trains in step with the other nodes, if there are any."""
        return self._reads_feeds and not self.num_ps

    @property
    def _num_remote(self) -> int:
        return len(self.cluster_spec["worker"])

    @cached_property
    def _remote(self) -> RemoteDatasets:
        self._coordinated_strategy()  # connects to the workers
        return RemoteDatasets(self._num_remote, self._datasets_key)

    def _coordinated_strategy(self) -> Any:
        if not self._hands_out_steps:
            raise ConfigurationError(
                f"this {self.role} does not dispatch steps to workers; only the chief of a cluster "
                "with num_ps=1 or more does, without between_graph=True"
            )
        return self.strategy

    def _count_rows_of_workers(self, rows: int) -> None:
        self._rows_of_workers += rows
