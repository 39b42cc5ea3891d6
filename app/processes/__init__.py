"""The api process, the worker process, and the wiring that builds their inputs from settings."""
