"""Every model, in one list: a new model is a file in this folder and a line here."""

from twinjax.models.base import AbstractModel, Balance, Route, Transit, check_units
from twinjax.models.body.acetaminophen import AcetaminophenBody
from twinjax.models.brain.brain import PermeabilityLimitedBrain
from twinjax.models.chip.gut_liver import GutLiverChip
from twinjax.models.coupled import Molar, coupled
from twinjax.models.glucose.minimal import BergmanMinimal
from twinjax.models.glucose.sensor import GlucoseSensor
from twinjax.models.glucose.uvapadova import UVAPadova
from twinjax.models.heart.cipa import CiPACell
from twinjax.models.heart.herg import HERGClamp
from twinjax.models.heart.ohara_rudy import OharaRudy
from twinjax.models.heart.torord import ToRORd
from twinjax.models.liver.acetaminophen import AcetaminophenToxicity
from twinjax.models.pbpk.body import WholeBody
from twinjax.models.pd.combination import BlissEffect, GPDIEffect, LoeweEffect
from twinjax.models.pd.direct import EmaxEffect, LinearEffect, LogLinearEffect, SigmoidEmaxEffect
from twinjax.models.pd.effect_compartment import EffectCompartment
from twinjax.models.pd.indirect_response import (
    InhibitionOfLoss,
    InhibitionOfProduction,
    StimulationOfLoss,
    StimulationOfProduction,
)
from twinjax.models.pd.myelosuppression import FribergMyelosuppression
from twinjax.models.pd.precursor import PrecursorInhibition, PrecursorStimulation
from twinjax.models.pd.propofol import PropofolBIS
from twinjax.models.pd.warfarin import WarfarinINR
from twinjax.models.pk.absorption import OneCompartmentParallel, OneCompartmentSequential, OneCompartmentZeroOrder
from twinjax.models.pk.michaelis_menten import (
    OneCompartmentMichaelisMenten,
    OneCompartmentOralMichaelisMenten,
    TwoCompartmentMichaelisMenten,
    TwoCompartmentOralMichaelisMenten,
)
from twinjax.models.pk.mixed_elimination import OneCompartmentOralMixed, TwoCompartmentMixed, TwoCompartmentOralMixed
from twinjax.models.pk.one_compartment import OneCompartment, OneCompartmentOral
from twinjax.models.pk.parent_metabolite import ParentMetabolite
from twinjax.models.pk.three_compartment import ThreeCompartment, ThreeCompartmentOral
from twinjax.models.pk.tmdd import FullTMDD, IrreversibleTMDD
from twinjax.models.pk.tmdd_approximations import QuasiEquilibriumTMDD, QuasiSteadyStateTMDD
from twinjax.models.pk.transit import OneCompartmentTransit
from twinjax.models.pk.two_compartment import TwoCompartment, TwoCompartmentOral
from twinjax.models.tumour.cart import CARTKinetics, CARTTumour
from twinjax.models.tumour.claret import ClaretTumour
from twinjax.models.tumour.growth import (
    BertalanffyGrowth,
    ExponentialGrowth,
    GompertzGrowth,
    LinearGrowth,
    LogisticGrowth,
)
from twinjax.models.tumour.myeloma import MyelomaImmunity
from twinjax.models.tumour.myeloma_bone import MyelomaBone
from twinjax.models.tumour.myeloma_clones import MyelomaClones
from twinjax.models.tumour.ribba import RibbaGlioma
from twinjax.models.tumour.simeoni import SimeoniGrowth
from twinjax.models.tumour.tham import ThamLungCancer
from twinjax.models.tumour.two_clones import TwoClones
from twinjax.models.tumour.zhu import ZhuPancreaticCells
from twinjax.models.virus.acute import AcuteInfection
from twinjax.models.virus.chronic import ChronicInfection

REGISTRY: tuple[type[AbstractModel], ...] = (
    OneCompartment,
    OneCompartmentOral,
    TwoCompartment,
    TwoCompartmentOral,
    ThreeCompartment,
    ThreeCompartmentOral,
    OneCompartmentZeroOrder,
    OneCompartmentSequential,
    OneCompartmentParallel,
    OneCompartmentTransit,
    OneCompartmentMichaelisMenten,
    OneCompartmentOralMichaelisMenten,
    TwoCompartmentMichaelisMenten,
    TwoCompartmentOralMichaelisMenten,
    OneCompartmentOralMixed,
    TwoCompartmentMixed,
    TwoCompartmentOralMixed,
    ParentMetabolite,
    FullTMDD,
    IrreversibleTMDD,
    QuasiEquilibriumTMDD,
    QuasiSteadyStateTMDD,
    LinearEffect,
    LogLinearEffect,
    EmaxEffect,
    SigmoidEmaxEffect,
    BlissEffect,
    LoeweEffect,
    GPDIEffect,
    EffectCompartment,
    InhibitionOfProduction,
    InhibitionOfLoss,
    StimulationOfProduction,
    StimulationOfLoss,
    PrecursorInhibition,
    PrecursorStimulation,
    FribergMyelosuppression,
    TwoClones,
    BergmanMinimal,
    UVAPadova,
    GlucoseSensor,
    PermeabilityLimitedBrain,
    WholeBody,
    AcetaminophenBody,
    AcetaminophenToxicity,
    GutLiverChip,
    WarfarinINR,
    PropofolBIS,
    HERGClamp,
    ExponentialGrowth,
    LinearGrowth,
    LogisticGrowth,
    GompertzGrowth,
    BertalanffyGrowth,
    SimeoniGrowth,
    ClaretTumour,
    RibbaGlioma,
    ThamLungCancer,
    CARTKinetics,
    CARTTumour,
    ZhuPancreaticCells,
    MyelomaImmunity,
    MyelomaBone,
    MyelomaClones,
    AcuteInfection,
    ChronicInfection,
    OharaRudy,
    CiPACell,
    ToRORd,
)

__all__ = [
    "REGISTRY",
    "AbstractModel",
    "AcetaminophenBody",
    "AcetaminophenToxicity",
    "AcuteInfection",
    "Balance",
    "BergmanMinimal",
    "BertalanffyGrowth",
    "BlissEffect",
    "CARTKinetics",
    "CARTTumour",
    "ChronicInfection",
    "CiPACell",
    "ClaretTumour",
    "EffectCompartment",
    "EmaxEffect",
    "ExponentialGrowth",
    "FribergMyelosuppression",
    "FullTMDD",
    "GPDIEffect",
    "GlucoseSensor",
    "GompertzGrowth",
    "GutLiverChip",
    "HERGClamp",
    "InhibitionOfLoss",
    "InhibitionOfProduction",
    "IrreversibleTMDD",
    "LinearEffect",
    "LinearGrowth",
    "LoeweEffect",
    "LogLinearEffect",
    "LogisticGrowth",
    "Molar",
    "MyelomaBone",
    "MyelomaClones",
    "MyelomaImmunity",
    "OharaRudy",
    "OneCompartment",
    "OneCompartmentMichaelisMenten",
    "OneCompartmentOral",
    "OneCompartmentOralMichaelisMenten",
    "OneCompartmentOralMixed",
    "OneCompartmentParallel",
    "OneCompartmentSequential",
    "OneCompartmentTransit",
    "OneCompartmentZeroOrder",
    "ParentMetabolite",
    "PermeabilityLimitedBrain",
    "PrecursorInhibition",
    "PrecursorStimulation",
    "PropofolBIS",
    "QuasiEquilibriumTMDD",
    "QuasiSteadyStateTMDD",
    "RibbaGlioma",
    "Route",
    "SigmoidEmaxEffect",
    "SimeoniGrowth",
    "StimulationOfLoss",
    "StimulationOfProduction",
    "ThamLungCancer",
    "ThreeCompartment",
    "ThreeCompartmentOral",
    "ToRORd",
    "Transit",
    "TwoClones",
    "TwoCompartment",
    "TwoCompartmentMichaelisMenten",
    "TwoCompartmentMixed",
    "TwoCompartmentOral",
    "TwoCompartmentOralMichaelisMenten",
    "TwoCompartmentOralMixed",
    "UVAPadova",
    "WarfarinINR",
    "WholeBody",
    "ZhuPancreaticCells",
    "check_units",
    "coupled",
]
