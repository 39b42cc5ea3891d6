"""Message brokers that events are published to: one file for each, and what they share."""
