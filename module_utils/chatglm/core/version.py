"""The project's version, once: ``chatglm where`` and the report tell it, CHANGELOG.md says what is in it.

Runs on the host's own Python, which may be as old as 3.8.
"""

from __future__ import annotations

VERSION = "1.0.0"
"""By semver.org: what breaks a setting, a command or the layout of ``chatglm_home`` raises the first number."""
