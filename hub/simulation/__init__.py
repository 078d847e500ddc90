"""The other home of a run: virtual time, scripted events, no server."""

from hub.simulation.mocks import Mock, MockFailure
from hub.simulation.result import (
    SimulatedCall,
    SimulatedDelivery,
    SimulatedEvent,
    SimulatedRun,
    SimulationResult,
)
from hub.simulation.simulation import START_TIME, Simulation

__all__ = [
    "START_TIME",
    "Mock",
    "MockFailure",
    "SimulatedCall",
    "SimulatedDelivery",
    "SimulatedEvent",
    "SimulatedRun",
    "Simulation",
    "SimulationResult",
]
