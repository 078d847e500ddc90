"""The other home of a run: virtual time, scripted events, no server."""

from hub.simulation.expectation import Difference, Expectation
from hub.simulation.mocks import Mock, MockFailure
from hub.simulation.read import load_scenarios, read_scenario
from hub.simulation.result import (
    SimulatedCall,
    SimulatedDecision,
    SimulatedDelivery,
    SimulatedEvent,
    SimulatedRun,
    SimulationResult,
)
from hub.simulation.scenario import Scenario, Verdict, run_scenario
from hub.simulation.simulate import simulate
from hub.simulation.simulation import START_TIME, Simulation
from hub.simulation.suite import Suite, load_suite
from hub.simulation.trial import Trial, TrialRequest
from hub.simulation.trials import Trials

__all__ = [
    "START_TIME",
    "Difference",
    "Expectation",
    "Mock",
    "MockFailure",
    "Scenario",
    "SimulatedCall",
    "SimulatedDecision",
    "SimulatedDelivery",
    "SimulatedEvent",
    "SimulatedRun",
    "Simulation",
    "SimulationResult",
    "Suite",
    "Trial",
    "TrialRequest",
    "Trials",
    "Verdict",
    "load_scenarios",
    "load_suite",
    "read_scenario",
    "run_scenario",
    "simulate",
]
