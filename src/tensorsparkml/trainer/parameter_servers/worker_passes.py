"""Training through parameter servers: passes that the workers make by themselves, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tensorsparkml.trainer.parameter_servers.chief_datasets import this_worker


class WorkerPasses:
    """Runs a step for every batch of the workers' datasets, one pass at a time.

    A pass is one call to each worker, which goes through its own dataset to the end and adds up
    what its steps return. So a worker never waits for the chief between two steps, nor for another
    worker; and a worker that has finished has nothing to do, instead of steps without rows.

    Args:
        strategy: The chief's `ParameterServerStrategy`.
        workers: Number of workers.
        step: Gets a batch, in a replica of a worker, and returns a dict of numbers or tensors of
            numbers, which are added up over all steps of all workers. Their shapes must not
            depend on the batch. It becomes a graph as it is, without AutoGraph. Variables must be
            made before.
        make_dataset: Returns the dataset, such as `lambda: ctx.dataset(batch_size=64)`; it stands
            for those of all workers. Each iteration of it is a pass.
    """

    def __init__(
        self,
        strategy: Any,
        workers: int,
        step: Callable[[Any], Mapping[str, Any]],
        make_dataset: Callable[[], Any],
    ) -> None:
        import tensorflow as tf

        specs = []

        @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
        def make() -> Any:
            dataset = make_dataset()
            specs.append(dataset.element_spec)
            return dataset

        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        self._datasets = self._coordinator.create_per_worker_dataset(make)
        self._workers = workers
        self.element_spec = specs[0]
        self._strategy = strategy
        self._step = step
        self._pass: Any = None

    def run(self) -> dict[str, Any]:
        """Make a pass over the datasets of all workers, and return the sums.

        Returns:
            What the steps returned, added up: a float64 array or scalar by name.

        Raises:
            tf.errors.OpError: A step failed; errors in a worker's data end the cluster instead.
        """
        if self._pass is None:
            self._pass = self._whole_pass()
        iterator = iter(self._datasets)
        results: list[dict[str, Any]] = []
        seen: set[int] = set()
        # Any idle worker takes a call. One that is through with the pass already answers at once,
        # without a step, and the worker that did not get one is still due.
        while (due := self._workers - len(seen)) > 0:
            calls = [self._coordinator.schedule(self._pass, args=(iterator,)) for _ in range(due)]
            self._coordinator.join()
            for worker, sums in (call.fetch() for call in calls):
                seen.add(int(worker))
                results.append(sums)
        return {name: sum(sums[name] for sums in results) for name in results[0]}

    def _whole_pass(self) -> Any:
        import tensorflow as tf

        def run_step(batch: Any) -> dict[str, Any]:
            found = self._strategy.run(self._step, args=(batch,))
            return {name: tf.cast(value, tf.float64) for name, value in found.items()}

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def whole_pass(iterator: Any) -> tuple[Any, dict[str, Any]]:
            # Traced in here, because TensorFlow warns of steps that nobody has scheduled.
            traced = tf.function(run_step, autograph=False).get_concrete_function(self.element_spec)
            shapes = {name: value.shape for name, value in traced.structured_outputs.items()}

            def has_next(optional: Any, _: Any) -> Any:
                return optional.has_value()

            def go_on(optional: Any, sums: Any) -> Any:
                found = run_step(optional.get_value())
                added = {name: sums[name] + found[name] for name in shapes}
                with tf.control_dependencies(list(added.values())):
                    return iterator.get_next_as_optional(), added

            first = iterator.get_next_as_optional()
            zeros = {name: tf.zeros(shape, tf.float64) for name, shape in shapes.items()}
            _, sums = tf.while_loop(has_next, go_on, (first, zeros), parallel_iterations=1)
            return this_worker(), sums

        return whole_pass
