"""Authorization: API keys, their scopes, and the audit of sensitive reads."""
