"""What happens without a session, and with one that is stopped; run as a program of its own."""

from pyspark.sql import SparkSession

import tensorsparkml as tsm


def refused(**arguments):
    try:
        tsm.run(print, **arguments)
    except tsm.errors.ConfigurationError as error:
        print(error.message)
    else:
        raise AssertionError(arguments)


tsm.ensure_java()
refused()
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
refused(spark="local[1]")
data = spark.range(3)
spark.stop()
refused(spark=spark)
refused(data=data)
