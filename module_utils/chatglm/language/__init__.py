"""The languages that users are spoken to in."""
