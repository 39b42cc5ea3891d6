"""A simulator of Dots and Svix (API, hosted pages, webhooks), for development and tests without an account."""
