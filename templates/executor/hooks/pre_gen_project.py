"""Refuses names that cannot work, before anything is written."""

import keyword
import re
import sys

PACKAGE = "{{ cookiecutter.package_name }}"
SLUG = "{{ cookiecutter.project_slug }}"
TEXTS = {
    "provider_family": {{ cookiecutter.provider_family | tojson }},
    "model_id": {{ cookiecutter.model_id | tojson }},
    "task_type": {{ cookiecutter.task_type | tojson }},
    "description": {{ cookiecutter.description | tojson }},
}
TAKEN = {"executor_sdk", "kernel_stub", "reference_executors", "tests"}

faults = []
if not re.fullmatch(r"[a-z][a-z0-9_]*", PACKAGE) or keyword.iskeyword(PACKAGE) or PACKAGE in TAKEN:
    faults.append(f"package_name {PACKAGE!r} must be a lower-case Python name that is not taken")
if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", SLUG):
    faults.append(f"project_slug {SLUG!r} must be lower-case letters, digits, dots and dashes")
for name, text in TEXTS.items():
    if not text.strip() or "\n" in text:
        faults.append(f"{name} must be one line and not blank")
if faults:
    sys.exit("ERROR: " + "; ".join(faults))
