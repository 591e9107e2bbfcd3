"""Action plugin: the module cuda_links, with its warnings in the user's language."""

from ansible.plugins.loader import action_loader

ActionModule = action_loader.get("with_progress", class_only=True)
