"""The HTTP application: its list of routes, its documents, its health, and uvicorn."""
