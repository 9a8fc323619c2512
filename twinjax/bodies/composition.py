"""What human tissues are made of, for Rodgers and Rowland's method."""

from __future__ import annotations

from twinjax.drugs.partition import RodgersRowland
from twinjax.drugs.partition.rodgers_rowland import Constituents

ERYTHROCYTES = Constituents(0.0012, 0.0033, 0.0, 0.63, 0.57, 0.0, 0.0)
PLASMA = Constituents(0.0032, 0.0021, 0.0, 0.0, 0.0, 0.0, 0.0)

MAN = {
    "adipose": Constituents(0.853, 0.0016, 0.135, 0.009, 0.40, 0.049, 0.068),
    "bone": Constituents(0.0174, 0.0016, 0.100, 0.317, 0.67, 0.100, 0.050),
    "brain": Constituents(0.0391, 0.0015, 0.162, 0.591, 0.40, 0.048, 0.041),
    "gut": Constituents(0.0375, 0.0124, 0.282, 0.456, 2.41, 0.158, 0.141),
    "heart": Constituents(0.0135, 0.0106, 0.320, 0.248, 2.25, 0.157, 0.160),
    "kidney": Constituents(0.0121, 0.0240, 0.273, 0.399, 5.03, 0.130, 0.137),
    "liver": Constituents(0.0135, 0.0238, 0.161, 0.481, 4.56, 0.086, 0.161),
    "lung": Constituents(0.0215, 0.0123, 0.336, 0.238, 3.91, 0.212, 0.168),
    "muscle": Constituents(0.0220, 0.0078, 0.079, 0.666, 2.42, 0.064, 0.059),
    "pancreas": Constituents(0.0403, 0.0090, 0.120, 0.521, 1.67, 0.060, 0.060),
    "skin": Constituents(0.0603, 0.0044, 0.382, 0.276, 1.32, 0.277, 0.096),
    "spleen": Constituents(0.0071, 0.0107, 0.207, 0.355, 3.18, 0.097, 0.207),
}
"""Fractions by volume; acidic phospholipid in mg/g. Muscle, adipose, plasma and erythrocytes are those of man, others
of the rat: Rodgers and Rowland 2007, Pharm Res 24:918, doi:10.1007/s11095-006-9210-3, as PK-Sim 6 tabulates them."""

HUMAN_TISSUES = RodgersRowland(tissues=MAN, erythrocytes=ERYTHROCYTES, plasma=PLASMA)
"""The method by which a body of a person is filled unless told otherwise."""
