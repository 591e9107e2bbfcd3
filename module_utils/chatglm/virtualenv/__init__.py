"""The virtualenv, and the Python under it."""
