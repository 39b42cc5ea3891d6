"""Simulates Svix: signs, sends and retries messages. Does not know flows or users."""
