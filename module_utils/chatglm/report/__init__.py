"""The page that shows the hosts."""
