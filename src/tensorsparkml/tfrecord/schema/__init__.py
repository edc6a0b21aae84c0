"""Types of columns: those of Spark, of Arrow, and of features."""
