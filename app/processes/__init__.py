"""The api and the worker, and the wiring that builds what they need from settings."""
