"""Message brokers that events are published to: what each is told, and how it says that it has an event."""
