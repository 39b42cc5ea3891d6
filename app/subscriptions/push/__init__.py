"""Signed HTTP requests to subscribers, and the addresses that they may go to."""
