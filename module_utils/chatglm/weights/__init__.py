"""The model's files: sources, transfer, verification."""
