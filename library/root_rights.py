#!/usr/bin/python
"""Ansible module: ask sudo before the rights of root are needed; done by action_plugins/root_rights.py."""

DOCUMENTATION = r"""
module: root_rights
short_description: Ask whether the rights of root will be had, before anything is done with them
description:
  - With C(become), asks sudo on the host to run nothing as root, with the password that Ansible was given, and tells
    apart why it does not; no password given though one is asked for, a wrong one, a user without the right, a password
    or an account that is locked or expired, no sudo.
  - Asked once, and then sudo finds no more input; a wrong password counts once, and nothing runs into a time-out.
  - The password goes through the connection's standard input, and into no argument, file or output.
  - A root user is not asked. For another become method than sudo, a module is run with it.
version_added: "1.0.0"
options:
  instead:
    description: How to do without these rights, for the end of the message; empty for nothing.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: The same; nothing is changed in either.
  diff_mode:
    support: none
    description: There is nothing to show.
  action:
    support: full
    description: Runs on the control side; on the host no more than a shell is needed.
author: The authors of this project
"""

EXAMPLES = r"""
- name: Ask sudo before anything is fetched
  root_rights:
    instead: "do without a service: -e chatglm_service=none"
  become: true
"""

RETURN = r"""
asked:
  description: Whether sudo was asked, and let the user become root; false for who is root.
  returned: success
  type: bool
"""
