"""The parameters and fields that all lists share. The cursors themselves are in `app/cursors.py`."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

After = Annotated[str | None, Query(description="`next_cursor` of the page before. Absent: the first page.")]
NextCursor = Annotated[str | None, Field(description="Pass it as `after` to get the next page. Null on the last page.")]
HasMore = Annotated[bool, Field(description="Whether there is a next page.")]
