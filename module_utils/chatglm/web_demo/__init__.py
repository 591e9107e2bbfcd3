"""The stage web_demo: upstream's demo scripts, made to run with the local model and the pinned packages."""
