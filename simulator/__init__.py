"""A stand-in for Dots and Svix: its API, hosted pages and webhooks, for work and tests without an account."""
