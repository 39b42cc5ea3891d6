"""Push: subscriptions, deliveries and their secrets."""
