"""The data plane: Arrow columns, the spool, lockstep, transport. No Spark and no TensorFlow."""
