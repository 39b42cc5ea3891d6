"""The part of Svix: signing, sending and retrying messages. Knows nothing of flows or users."""
