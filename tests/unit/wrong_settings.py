"""What role chatglm refuses, without a play."""

import re
from pathlib import Path

import jinja2
import yaml

VARS = Path(__file__).resolve().parents[2] / "roles" / "chatglm" / "vars" / "main.yml"
EXPRESSION = yaml.safe_load(VARS.read_text())["chatglm_problems"]
RIGHT = {
    "chatglm_source_version": "a" * 40,
    "chatglm_source_url": "https://host/x.git",
    "chatglm_model_revision": "b" * 40,
    "chatglm_model_repo": "THUDM/x",
    "chatglm_hub_endpoint": "https://hub",
    "chatglm_port": 7860,
    "chatglm_app": "web_demo",
    "chatglm_listen": "127.0.0.1",
    "chatglm_page_password": "",
    "chatglm_home": "~/chatglm",
    "chatglm_model_sources": [{}],
}


def problems(**settings):
    """Return what the role says of settings; those not given are right."""
    environment = jinja2.Environment()
    environment.tests["match"] = lambda text, pattern: bool(re.match(pattern, str(text)))
    environment.filters["regex_replace"] = lambda text, old, new: re.sub(old, new, text)
    return environment.compile_expression(EXPRESSION.strip()[2:-2].replace("\\", "\\\\"))(**{**RIGHT, **settings})
