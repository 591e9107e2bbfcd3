"""The proof by real answers."""
