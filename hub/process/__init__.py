"""The hub's processes: the parts that they share, and how those of production are put together."""
