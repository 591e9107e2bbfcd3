"""The Windows side of WSL."""
