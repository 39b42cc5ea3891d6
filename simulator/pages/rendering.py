"""Templates and style of the pages, found beside this file wherever the package is installed."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.templating import Jinja2Templates

STATIC_DIRECTORY = Path(__file__).parent / "static"
_TEMPLATE_DIRECTORY = Path(__file__).parent / "templates"


def page_templates() -> Jinja2Templates:
    """The templates; a name that a page forgot to give is an error, not an empty place."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATE_DIRECTORY),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return Jinja2Templates(env=environment)
