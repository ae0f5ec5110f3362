"""Pictures of what an estimator found, and why."""

from gemclust.displays.clusters import ClustersDisplay
from gemclust.displays.confidence import ConfidenceDisplay
from gemclust.displays.curves import ObjectiveCurvesDisplay
from gemclust.displays.decisions import DecisionMapDisplay
from gemclust.displays.profile import ProfileDisplay
from gemclust.displays.selection import SelectionDisplay

__all__ = [
    "ClustersDisplay",
    "ConfidenceDisplay",
    "DecisionMapDisplay",
    "ObjectiveCurvesDisplay",
    "ProfileDisplay",
    "SelectionDisplay",
]
