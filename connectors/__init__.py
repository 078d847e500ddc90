"""The connectors that come with the hub, found by the same entry points as anybody else's."""
