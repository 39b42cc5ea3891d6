"""Publish events to message brokers: one file per broker, and their shared parts."""
