"""Loads the templates and static files beside this file."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.templating import Jinja2Templates

STATIC_DIRECTORY = Path(__file__).parent / "static"
_TEMPLATE_DIRECTORY = Path(__file__).parent / "templates"


def page_templates() -> Jinja2Templates:
    """The templates. An undefined variable is an error."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATE_DIRECTORY),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return Jinja2Templates(env=environment)
