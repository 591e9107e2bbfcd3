"""Action plugin: the module python_env, with its progress."""

from ansible.plugins.loader import action_loader

ActionModule = action_loader.get("with_progress", class_only=True)
