"""Action plugin: the module chat_service, with its warnings in the user's language."""

from ansible.plugins.loader import action_loader

ActionModule = action_loader.get("with_progress", class_only=True)
