"""A Spark application that loads what `store_script.py` has saved. Prints, as JSON, what it saw."""

import json
import os
import sys
from typing import Any

from pyspark.ml import PipelineModel
from saved_pipeline import damage, predictions
from store_script import start_session


def main(args: dict[str, Any]) -> dict[str, Any]:
    os.environ.update(args["environment"])
    session = start_session("local[1]", args)
    found = {uri: predictions(session, PipelineModel.load(uri)) for uri in args["saved"]}
    damaged = damage(args["damaged"], args["options"])
    session.stop()
    return {"predicted": found, "damaged": damaged}


if __name__ == "__main__":
    print("RESULT " + json.dumps(main(json.loads(sys.argv[1]))))
