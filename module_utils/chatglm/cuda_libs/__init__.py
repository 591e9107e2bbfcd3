"""The CUDA runtime libraries: found, installed, linked."""
