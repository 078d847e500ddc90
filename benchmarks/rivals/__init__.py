"""Other engines of durable runs, beside the hub on the same machine."""
