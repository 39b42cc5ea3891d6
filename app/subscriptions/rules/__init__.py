"""Domain logic of subscriptions and deliveries: plain Python without I/O."""
