"""The part that runs in the user's Spark driver."""
