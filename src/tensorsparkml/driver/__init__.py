"""What runs in the user's Spark driver."""
