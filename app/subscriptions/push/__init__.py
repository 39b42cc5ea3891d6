"""Signed HTTP requests to subscribers, and their allowed destinations."""
