"""Events for other services: what they are, their numbering, pages and streams."""
