"""Fitting a Keras 3 model whose variables are on parameter servers.

`model.fit` does not know the coordinator of TensorFlow's `ParameterServerStrategy` (Keras 3.15). So
the loop is here, made of Keras's public parts: losses, metrics, optimizers and callbacks are its.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorsparkml.errors import ConfigurationError, EmptyFeedError
from tensorsparkml.trainer.parameter_servers.worker_passes import WorkerPasses

MakeDataset = Callable[[], Any]
_ROWS, _LOSS = "rows", "loss"


class AsynchronousFit:
    """Trains and evaluates a compiled model, with steps on the workers.

    Args:
        model: A compiled Keras 3 model, made under the strategy's scope.
        strategy: The chief's `ParameterServerStrategy`.
        workers: Number of workers.
        count_rows: Gets the number of rows that the workers have read in a pass.
    """

    def __init__(
        self,
        model: Any,
        strategy: Any,
        workers: int,
        count_rows: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._model = model
        self._strategy = strategy
        self._workers = workers
        self._count_rows = count_rows

    def fit(
        self,
        make_dataset: MakeDataset,
        epochs: int,
        initial_epoch: int,
        validation: MakeDataset | None,
        callbacks: Sequence[Any],
    ) -> Any:
        """Train, and return Keras's `History`; see `Context.asynchronous_fit`."""
        import keras

        model = self._model
        _check_model(model)
        training = WorkerPasses(self._strategy, self._workers, self._train_step, make_dataset)
        self._build(training.element_spec)
        validating = validation and WorkerPasses(
            self._strategy, self._workers, self._test_step, validation
        )
        model.stop_training = False
        calls = keras.callbacks.CallbackList(
            list(callbacks), add_history=True, model=model, epochs=epochs, verbose=0, steps=None
        )
        calls.on_train_begin()
        logs: dict[str, float] = {}
        for epoch in range(initial_epoch, epochs):
            calls.on_epoch_begin(epoch)
            logs = self._logs(training.run())
            if validating:
                found = self._logs(validating.run())
                logs |= {f"val_{name}": value for name, value in found.items()}
            calls.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        calls.on_train_end(logs)
        return model.history

    def _train_step(self, batch: Any) -> dict[str, Any]:
        import tensorflow as tf

        model = self._model
        with tf.GradientTape() as tape:
            loss, sums = self._forward(batch, training=True)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_weights)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        return sums

    def _test_step(self, batch: Any) -> dict[str, Any]:
        return self._forward(batch, training=False)[1]

    def _forward(self, batch: Any, training: bool) -> tuple[Any, dict[str, Any]]:
        """Return the loss of a batch, and what is added up over an epoch."""
        import keras
        import tensorflow as tf

        model = self._model
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        predicted = model(x, training=training)
        loss = model.compute_loss(
            x=x, y=y, y_pred=predicted, sample_weight=weight, training=training
        )
        # The metrics' own variables are not touched: workers would overwrite each other's sums.
        states = model.metrics_variables
        nothing = [(state, tf.zeros(state.shape, state.dtype)) for state in states]
        with keras.StatelessScope(state_mapping=nothing) as scope:
            model.compute_metrics(x, y, predicted, weight)
            counted = [scope.get_current_value(state) for state in states]
        rows = tf.cast(tf.shape(tf.nest.flatten(x)[0])[0], tf.float64)
        sums = {_ROWS: rows, _LOSS: tf.cast(loss, tf.float64) * rows}
        return loss, sums | {f"state {index}": value for index, value in enumerate(counted)}

    def _logs(self, sums: dict[str, Any]) -> dict[str, float]:
        """Return loss and metrics of all rows that were read."""
        import keras
        import tensorflow as tf

        model = self._model
        rows = float(sums[_ROWS])
        if not rows:
            raise EmptyFeedError(
                "the workers' datasets have no batches; use a smaller batch or drop_remainder=False"
            )
        self._count_rows(int(rows))
        states = [
            (state, tf.cast(sums[f"state {index}"], state.dtype))
            for index, state in enumerate(model.metrics_variables)
        ]
        with keras.StatelessScope(state_mapping=states):
            logs = {name: float(value) for name, value in model.get_metrics_result().items()}
        return logs | {_LOSS: float(sums[_LOSS]) / rows}

    def _build(self, element_spec: Any) -> None:
        """Make all variables, which must be there before workers run a step."""
        import keras
        import tensorflow as tf

        def example(spec: Any) -> Any:
            return tf.zeros([size or 1 for size in spec.shape], spec.dtype)

        model = self._model
        with self._strategy.scope():
            x, y, weight = keras.utils.unpack_x_y_sample_weight(
                tf.nest.map_structure(example, element_spec)
            )
            predicted = model(x, training=False)
            _check_places(model.variables)  # before others are made after their example
            model.compute_metrics(x, y, predicted, weight)
            model.reset_metrics()
            model.optimizer.build(model.trainable_variables)
        _check_places([*model.variables, *model.optimizer.variables])


def _check_model(model: Any) -> None:
    import keras

    if not isinstance(model, keras.Model) or not model.compiled:
        raise ConfigurationError(
            f"this {type(model).__name__} is not a compiled Keras 3 model; call "
            "model.compile(...) first. For a model of tf_keras, use its own fit with a "
            "DatasetCreator"
        )
    for name in ("train_step", "test_step"):
        if getattr(type(model), name) is not getattr(keras.Model, name):
            raise ConfigurationError(
                f"{type(model).__name__} has its own {name}, which works only with model.fit; let "
                "the workers run such a step with ctx.asynchronous_passes(...)"
            )


def _check_places(variables: Sequence[Any]) -> None:
    """Raise an error unless Keras's variables are on parameter servers, each in one piece."""
    cut = [variable.path for variable in variables if hasattr(variable.value, "variables")]
    if cut:
        raise ConfigurationError(
            f"the variables {', '.join(cut)} are split into shards, for which Keras 3 computes no "
            "gradients; use ctx.strategy, or a variable_partitioner that does not split them, or "
            "train a tf.Variable with ctx.asynchronous_passes(...)"
        )
    elsewhere = [variable.path for variable in variables if "/job:ps" not in variable.value.device]
    if elsewhere:
        raise ConfigurationError(
            f"the variables {', '.join(elsewhere)} are not on parameter servers; create and "
            "compile the model under ctx.strategy.scope()"
        )
