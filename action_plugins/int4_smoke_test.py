"""Action plugin: the module int4_smoke_test, with its progress."""

from ansible.plugins.loader import action_loader

ActionModule = action_loader.get("with_progress", class_only=True)
