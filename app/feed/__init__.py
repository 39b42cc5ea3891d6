"""Events for other services: their types, numbering, pages and streams."""
