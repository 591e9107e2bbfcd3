"""Action plugin: the module managed_python, with its progress."""

from ansible.plugins.loader import action_loader

ActionModule = action_loader.get("with_progress", class_only=True)
