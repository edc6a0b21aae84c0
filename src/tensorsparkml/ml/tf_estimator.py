"""`TFEstimator`: trains with a main function of the user's own, as a stage of a pipeline."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pyspark.ml import Estimator
from pyspark.ml.param import Param

from tensorsparkml.checks import function, shown, some_names
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.ml.fitting.rows import Columns
from tensorsparkml.ml.fitting.run_fit import row_sets, run_fit
from tensorsparkml.ml.params import FitParams, SavedModelParams, param
from tensorsparkml.ml.persistence import Saveable
from tensorsparkml.ml.tf_model import TFModel
from tensorsparkml.program.naming import function_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class TFEstimator(SavedModelParams, FitParams, Saveable, Estimator[TFModel]):
    """Trains a model on the executors with a main function of your own.

    ```python
    def main(args, ctx):
        with ctx.strategy.scope():
            model = build_model()
        model.fit(ctx.dataset(global_batch_size=64, features="x", label="y"), epochs=3)
        return ctx.export(model, args["folder"])

    model = TFEstimator(main, {"folder": "hdfs:///models/churn"}, featuresCol="x").fit(df)
    ```

    The rows are in the feed `train`; those to validate with, if any, in the feed `validation`.

    Args:
        main: The program, `main(args, ctx)`, as for `tsm.run`. On the chief it returns the path of
            the model that it has written: a SavedModel, or a `.keras` file. The driver and all
            executors read it later.
        args: The first argument of main: anything that can be pickled.
        params: Any other params, by their names; see `explainParams()`.

    Raises:
        ConfigurationError: There is no such param, or a value is not valid.
    """

    main: Param[Any] = param(
        "main",
        "the program, main(args, ctx), which returns the path of its model on the chief",
        function,
    )
    args: Param[Any] = param("args", "the first argument of main", lambda name, value: value)
    columns: Param[list[str]] = param(
        "columns", "names of the columns that the nodes get; all if not set", some_names
    )

    def __init__(self, main: Any = None, args: Any = None, **params: Any) -> None:
        super().__init__()
        self.setParams(main=main, args=args, **params)

    def _fit(self, dataset: DataFrame) -> TFModel:
        main = self.value("main")
        if main is None:
            raise ConfigurationError("main is needed: TFEstimator(main)")
        self.check_fit()
        indicator = self.value("validationIndicatorCol")
        names = self.value("columns") or [each for each in dataset.columns if each != indicator]
        columns = Columns({name: name for name in names}, {}, indicator=indicator)
        rows = row_sets(dataset, columns, self)
        found = run_fit(main, self.value("args"), rows, self, epochs=self.value("epochs"))
        model = TFModel().take_params(self).setParams(modelPath=_path(found[0], main))
        model.predictor(dataset.sparkSession)  # raises now what would be wrong with it later
        return model


def _path(returned: Any, main: Any) -> Any:
    if not isinstance(returned, str | os.PathLike):
        raise ConfigurationError(
            f"{function_name(main)} returned {shown(returned)} on the chief; end it with the path "
            "of the model that it has written, as in: return ctx.export(model, uri)"
        )
    return returned
