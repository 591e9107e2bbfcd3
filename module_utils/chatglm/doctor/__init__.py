"""The checks of a host and its installation."""
