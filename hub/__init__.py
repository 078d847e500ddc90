"""An event-triggered integration hub: events start and resume trees that run on Temporal."""

__version__ = "0.1.0"
