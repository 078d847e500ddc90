"""What the hub tells those who watch it: metrics and traces. No room above it is needed for that."""
