"""Webhooks from Dots: the endpoint, stored webhooks, and replaying them."""
