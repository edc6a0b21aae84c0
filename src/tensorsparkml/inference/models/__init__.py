"""What models take and give, where they are, and how they are loaded."""
