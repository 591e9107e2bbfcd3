"""Judging a host before anything is changed there."""
