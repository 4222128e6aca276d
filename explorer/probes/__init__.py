"""Every kind of probe: importing this package imports its modules, and each registers its own."""

from explorer.probes.base import PROBES, Prediction, Probe, predict_together
from explorer.probes.dense import DepthProbe, NormalsProbe, SegmentationProbe
from explorer.probes.files import load_probe, probe_rows, save_probe
from explorer.probes.published import class_token
from explorer.probes.scribble import Scribble, Stroke, fit_scribble

__all__ = [
    "PROBES",
    "DepthProbe",
    "NormalsProbe",
    "Prediction",
    "Probe",
    "Scribble",
    "SegmentationProbe",
    "Stroke",
    "class_token",
    "fit_scribble",
    "load_probe",
    "predict_together",
    "probe_rows",
    "save_probe",
]

PROBES.discover(__name__, __path__)
