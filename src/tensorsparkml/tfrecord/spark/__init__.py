"""The source as Spark calls it, in Python processes beside the driver and in tasks."""
