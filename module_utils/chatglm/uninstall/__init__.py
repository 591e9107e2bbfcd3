"""What is removed, and what is not."""
