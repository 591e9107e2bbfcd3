"""The demo's repository at its commit."""
