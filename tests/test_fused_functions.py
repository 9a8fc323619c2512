"""The functions of fused kernels against references with more digits, at their ends, in every number of lanes."""

import ctypes
import functools
import itertools
import math
import re

import numpy as np
import pytest

from twinjax.solve.fused import functions

llvm = pytest.importorskip("llvmlite.binding")

EXTENDED = np.finfo(np.longdouble).nmant >= 63
REALS = {"f64": np.float64, "f32": np.float32}
TWO = {"pow", "atan2", "rem"}
NAMES = sorted(functions.FUNCTIONS)
BASELINE = ("x86-64", "")  # a processor without fused multiply-add


# ---------------------------------------------------------------------------------------------------------- the compiler


def text(names, lanes, precision, fused=True, kernel=""):
    """A module with a loop over arrays for every function."""
    scalar = {"f64": "double", "f32": "float"}[precision]
    vector = f"<{lanes} x {scalar}>"
    definitions, declares = functions.needed(names, lanes, precision, fused)
    loops = []
    for name in names:
        given = ["%x", "%y"][: 2 if name in TWO else 1]
        loads = "\n".join(
            f"  {a}p = getelementptr {scalar}, ptr {a}a, i64 %i\n  {a} = load {vector}, ptr {a}p, align 4"
            for a in given
        )
        loops.append(
            f"define {kernel} void @run_{name}({', '.join(f'ptr {a}a' for a in given)}, ptr %o, i64 %n) {{\n"
            "  br label %head\nhead:\n  %i = phi i64 [0, %0], [%j, %body]\n  %c = icmp slt i64 %i, %n\n"
            f"  br i1 %c, label %body, label %done\nbody:\n{loads}\n"
            f"  %v = call {vector} @tj.{name}({', '.join(f'{vector} {a}' for a in given)})\n"
            f"  %op = getelementptr {scalar}, ptr %o, i64 %i\n  store {vector} %v, ptr %op, align 4\n"
            f"  %j = add i64 %i, {lanes}\n  br label %head\ndone:\n  ret void\n}}"
        )
    return "\n".join([*declares, definitions, *loops])


def machine(triple, cpu, features):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(triple)
    return target.create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic")


def optimised(source, target):
    module = llvm.parse_assembly(source)
    module.triple, module.data_layout = target.triple, str(target.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.slp_vectorization = False
    builder = llvm.create_pass_builder(target, options)
    builder.getModulePassManager().run(module, builder)
    return module


@functools.cache
def engine(lanes, precision, fused=True):
    cpu = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()) if fused else BASELINE
    target = machine(llvm.get_process_triple(), *cpu)
    made = llvm.create_mcjit_compiler(optimised(text(NAMES, lanes, precision, fused), target), target)
    made.finalize_object()
    return made


def run(name, *arrays, lanes=8, precision="f64", fused=True):
    """A function's values at arrays of any length."""
    real = REALS[precision]
    count = len(arrays[0])
    room = -(-count // 16) * 16
    held = [np.ones(room, real) for _ in arrays]
    for h, a in zip(held, arrays, strict=True):
        h[:count] = a
    out = np.empty(room, real)
    address = engine(lanes, precision, fused).get_function_address(f"run_{name}")
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(arrays) + 1), ctypes.c_int64)(address)
    call(*[h.ctypes.data for h in held], out.ctypes.data, room)
    return out[:count]


# --------------------------------------------------------------------------------------------------------- the references


def precise(name):
    """A function of arrays in extended precision by mpmath, with 40 digits: slow."""
    mpmath = pytest.importorskip("mpmath")

    def at(x):
        with mpmath.workdps(40):
            x = mpmath.mpf(float(x))
            if name == "lgamma":  # the real part, by reflection, of a logarithm that is complex below zero
                y = (
                    mpmath.loggamma(x)
                    if x > 0
                    else -mpmath.log(abs(mpmath.sinpi(x) * x / mpmath.pi)) - mpmath.loggamma(-x)
                )
            else:
                y = {"erf": mpmath.erf, "erfc": mpmath.erfc, "erf_inv": mpmath.erfinv, "digamma": mpmath.digamma,
                     "trigamma": functools.partial(mpmath.psi, 1)}[name](x)  # fmt: skip
            high = float(y)
            return np.longdouble(high) + np.longdouble(float(y - high)) if math.isfinite(high) else np.longdouble(high)

    return lambda x: np.array([at(v) for v in x], np.longdouble)


def sigmoid(x):
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1) / (1 + small)


LIBRARY = {"exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "pow": np.power,
           "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
           "atan2": np.arctan2, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
           "acosh": np.arccosh, "atanh": np.arctanh, "logistic": sigmoid, "cbrt": np.cbrt, "rem": np.fmod,
           "inverse_tenth_root": lambda x: x ** np.longdouble("-0.1")}  # fmt: skip
"""What numpy's extended precision has: 11 bits more than a double."""

COUNT = 100_000
GENERATOR = np.random.default_rng(20)


def uniform(low, high, count=COUNT):
    return GENERATOR.uniform(low, high, count)


def decades(low, high, count=COUNT, both=True):
    """Numbers of every size from 10**low to 10**high, of both signs if asked."""
    return 10.0 ** uniform(low, high, count) * (GENERATOR.choice([-1.0, 1.0], count) if both else 1.0)


FEW = 2_000  # mpmath takes 0.1 ms a point

DOMAINS = {
    "exp": [uniform(-745, 709.7), uniform(-1, 1)],
    "exp2": [uniform(-1074, 1023.9), uniform(-1, 1)],
    "expm1": [uniform(-45, 709.7), uniform(-1, 1.5), decades(-307, 0)],
    "log": [2.0 ** uniform(-1074, 1024), uniform(0.5, 2), uniform(0.99, 1.01)],
    "log1p": [decades(-307, 307, both=False), -decades(-307, 0, both=False), decades(-16, 0, both=False) - 1],
    "tanh": [uniform(-22, 22), uniform(-1, 1), decades(-307, 1)],
    "logistic": [uniform(-745, 40), uniform(-5, 5)],
    "sin": [uniform(-10, 10), uniform(-1e5, 1e5), decades(-300, 5), np.round(uniform(0, 6e4)) * (np.pi / 2)],
    "asin": [uniform(-1, 1), decades(-300, 0), 1 - decades(-16, 0, both=False)],
    "atan": [uniform(-3, 3), decades(-300, 307)],
    "sinh": [uniform(-3, 3), uniform(-710.4, 710.4), decades(-300, 2)],
    "asinh": [uniform(-3, 3), decades(-300, 307)],
    "acosh": [uniform(1, 3), decades(0, 307, both=False), 1 + decades(-15, 1, both=False)],
    "cbrt": [uniform(-10, 10), decades(-323, 308)],
    "inverse_tenth_root": [decades(-20, 20, both=False)],
    "erf": [uniform(-6, 6, FEW), decades(-300, 0, FEW), uniform(-1.1, 1.1, FEW)],
    "erfc": [uniform(-6, 6, FEW), uniform(-1.1, 1.1, FEW), uniform(5, 27.2, FEW)],
    "erf_inv": [uniform(-1, 1, FEW // 2), decades(-300, 0, 100), 1 - decades(-16, 0, FEW // 4, both=False)],
    "lgamma": [uniform(0, 3, FEW), uniform(3, 30, FEW), decades(-300, 300, FEW, both=False), uniform(-20, 0, FEW)],
    "trigamma": [uniform(0.1, 30, FEW), decades(-100, 8, FEW // 2, both=False), uniform(-20, 0, FEW // 4)],
}
DOMAINS |= {"cos": DOMAINS["sin"], "tan": DOMAINS["sin"], "acos": DOMAINS["asin"], "cosh": DOMAINS["sinh"],
            "atanh": DOMAINS["asin"], "digamma": DOMAINS["lgamma"]}  # fmt: skip
NARROW = {"exp": (-103, 88.7), "exp2": (-149, 127.9), "expm1": (-45, 88.7), "logistic": (-103, 20), "sinh": (-89.4, 89.4),
          "cosh": (-89.4, 89.4), "erfc": (-10.5, 10.1)}  # fmt: skip
"""Single precision's shorter ranges."""

BASES = [2.0 ** uniform(-1020, 1020), uniform(0.5, 2), 1 + decades(-15, -0.01)]
PLACES = [decades(-30, 30), decades(-30, 30)]
PLACES.append(PLACES[1] * uniform(0.1, 10))
POWERS = [uniform(-745, 709) / np.where(np.log(b) == 0, 1, np.log(b)) for b in BASES]


def points(name, precision):
    """Where a function is tried: values that the precision has, within the function's range."""
    x = np.concatenate(DOMAINS[name])
    if precision == "f32":
        low, high = NARROW.get(name, (-3e38, 3e38))
        x = np.where((x < low) | (x > high), np.sign(x) * np.abs(x) ** 0.1, x)
        x = np.where((np.abs(x) < 1e-38) & (x != 0), np.sign(x) * np.abs(x) ** 0.1, x)
    with np.errstate(under="ignore"):
        x = x.astype(REALS[precision])
    if name in ("asin", "acos"):
        return x[np.abs(x) <= 1]
    if name in ("atanh", "erf_inv"):
        return x[np.abs(x) < 1]
    if name == "log1p":
        return x[x > -1]
    return x[x >= 1] if name == "acosh" else x


def units(value, exact):
    """Errors in units of the exact value's last place."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        rounded = exact.astype(value.dtype)
        error = np.abs(value - exact) / np.spacing(np.abs(rounded)).astype(np.longdouble)
    error = np.where(value == rounded, np.where(np.isinf(rounded), 0, np.minimum(error, 0.5)), error)
    return np.where(np.isfinite(error), error, np.inf)


# ------------------------------------------------------------------------------------------------------------- accuracy

LIMITS = {"exp": 1.2, "exp2": 1.2, "expm1": 1.4, "log": 1.0, "log1p": 1.0, "tanh": 1.5, "logistic": 2.5, "sin": 1.0,
          "cos": 1.0, "tan": 2.3, "asin": 1.3, "acos": 1.0, "atan": 2.0, "sinh": 1.8, "cosh": 1.5, "asinh": 1.8,
          "acosh": 2.4, "atanh": 2.0, "erf": 1.5, "erfc": 3.5, "erf_inv": 2.5, "cbrt": 0.6, "trigamma": 10}  # fmt: skip
"""Units in the last place, in both precisions: what `functions` promises."""


def reference(name, x):
    with np.errstate(over="ignore", under="ignore"):
        return LIBRARY[name](x.astype(np.longdouble)) if name in LIBRARY else precise(name)(x)


@pytest.mark.parametrize("precision", ["f64", "f32"])
@pytest.mark.parametrize("name", sorted(LIMITS))
def test_error_in_units_of_the_last_place(name, precision):
    if name in LIBRARY and precision == "f64" and not EXTENDED:
        pytest.skip("numpy's longdouble is a double here")
    x = points(name, precision)
    error = units(run(name, x, precision=precision), reference(name, x))
    worst = int(np.argmax(error))
    assert error[worst] <= LIMITS[name], f"{error[worst]} at {x[worst]!r}"


@pytest.mark.skipif(not EXTENDED, reason="numpy's longdouble is a double here")
@pytest.mark.parametrize("precision", ["f64", "f32"])
def test_powers_keep_their_digits_up_to_the_largest(precision):
    x, y = np.concatenate(BASES), np.concatenate(POWERS)
    if precision == "f32":
        x, y = np.where(np.abs(np.log2(x)) > 120, np.abs(x) ** 0.1, x), y / 8
    x, y = x.astype(REALS[precision]), y.astype(REALS[precision])
    exact = np.power(x.astype(np.longdouble), y.astype(np.longdouble))
    assert units(run("pow", x, y, precision=precision), exact).max() <= 1.2


@pytest.mark.parametrize(("name", "least"), [("lgamma", 1e-2), ("digamma", 1e-1)])
def test_gamma_functions(name, least):
    """Relative to the value, or to `least` near a zero, where the terms cancel. Single precision rounds the double."""
    x = points(name, "f64")
    exact = precise(name)(x)
    error = np.abs(run(name, x) - exact) / np.maximum(np.abs(exact), least)
    assert error.max() < 1e-13
    x = points(name, "f32")
    assert units(run(name, x, precision="f32"), precise(name)(x)).max() <= 0.501


def test_direction_and_remainder():
    for precision, real in REALS.items():
        y, x, near = (v.astype(real) for v in PLACES)
        if EXTENDED or precision == "f32":
            for a, b in ((y, x), (near, x)):
                exact = np.arctan2(a.astype(np.longdouble), b.astype(np.longdouble))
                with np.errstate(under="ignore"):
                    normal = np.abs(exact.astype(real)) >= np.finfo(real).tiny
                assert units(run("atan2", a, b, precision=precision), exact)[normal].max() <= 2.3
        for a, b in ((y, x), (near, x), (x, np.abs(near) ** real(0.1))):
            assert np.array_equal(run("rem", a, b, precision=precision), np.fmod(a, b))


@pytest.mark.parametrize("precision", ["f64", "f32"])
def test_inverse_tenth_root_is_good_enough_for_a_step_size(precision):
    x = points("inverse_tenth_root", precision)
    value = run("inverse_tenth_root", x, precision=precision)
    assert np.max(np.abs(value / reference("inverse_tenth_root", x) - 1)) < 1e-6
    ends = run("inverse_tenth_root", [0, -1, 1e-30, np.inf, -np.inf, np.nan], precision=precision)
    assert ends[:5] == pytest.approx([100, 100, 100, 0.01, 100], rel=1e-6)
    assert np.isnan(ends[5])


# ------------------------------------------------------------------------------------------------------------- the ends

INF, NAN = math.inf, math.nan
PI = math.pi
ENDS = {
    "exp": [(0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (1000, INF), (-1000, 0), (709.79, INF), (-746, 0)],
    "exp2": [(0, 1), (1023, 2.0**1023), (-1074, 5e-324), (1024, INF), (-1076, 0), (INF, INF), (-INF, 0), (10, 1024)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1), (800, INF), (-800, -1), (5e-324, 5e-324), (1e-300, 1e-300)],
    "log": [(1, 0.0), (0.0, -INF), (-0.0, -INF), (-1, NAN), (-INF, NAN), (INF, INF), (-5e-324, NAN)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1, -INF), (-1.5, NAN), (INF, INF), (-INF, NAN), (5e-324, 5e-324)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), (1e300, 1), (5e-324, 5e-324)],
    "logistic": [(0, 0.5), (INF, 1), (-INF, 0.0), (-800, 0.0), (800, 1)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (2.0**31, NAN), (5e-324, 5e-324)],
    "cos": [(0.0, 1), (-0.0, 1), (INF, NAN), (-INF, NAN), (-(2.0**31), NAN), (5e-324, 1)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (2.0**31, NAN)],
    "asin": [(0.0, 0.0), (-0.0, -0.0), (1, PI / 2), (-1, -PI / 2), (1.001, NAN), (INF, NAN)],
    "acos": [(1, 0.0), (-1, PI), (0, PI / 2), (-1.001, NAN), (-INF, NAN)],
    "atan": [(0.0, 0.0), (-0.0, -0.0), (INF, PI / 2), (-INF, -PI / 2), (1, PI / 4), (5e-324, 5e-324)],
    "sinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (711, INF), (-800, -INF), (5e-324, 5e-324)],
    "cosh": [(0.0, 1), (INF, INF), (-INF, INF), (711, INF), (-800, INF)],
    "asinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (5e-324, 5e-324)],
    "acosh": [(1, 0.0), (0.99, NAN), (-3, NAN), (INF, INF), (-INF, NAN)],
    "atanh": [(0.0, 0.0), (-0.0, -0.0), (1, INF), (-1, -INF), (1.5, NAN), (INF, NAN), (5e-324, 5e-324)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), (10, 1)],
    "erfc": [(0, 1), (INF, 0.0), (-INF, 2), (40, 0.0), (-40, 2)],
    "erf_inv": [(0.0, 0.0), (-0.0, -0.0), (1, INF), (-1, -INF), (1.5, NAN), (INF, NAN)],
    "cbrt": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (-8, -2), (27, 3), (2.0**-1074, 2.0**-358)],
    "lgamma": [(0.0, INF), (-0.0, INF), (-1, INF), (-7, INF), (-1e300, INF), (1, 0.0), (2, 0.0), (INF, INF), (-INF, INF),
               (1e306, INF)],
    "digamma": [(0.0, NAN), (-0.0, NAN), (-1, NAN), (-7, NAN), (INF, INF), (-INF, NAN)],
    "trigamma": [(0.0, INF), (-1, INF), (INF, 0.0)],
}  # fmt: skip
"""(x, f(x)), exactly and with the sign of zeros; in single precision where both numbers are in it."""


def same(value, expected):
    return np.isnan(value) & np.isnan(expected) | (value == expected) & (np.signbit(value) == np.signbit(expected))


@pytest.mark.parametrize("precision", ["f64", "f32"])
@pytest.mark.parametrize("name", sorted(ENDS))
def test_ends(name, precision):
    real = REALS[precision]
    pairs = [p for p in ENDS[name] if precision == "f64" or all(q == 0 or not 0 < abs(q) < 1e-37 for q in p)]
    x = np.array([a for a, _ in pairs] + [NAN])
    expected = np.array([b for _, b in pairs] + [NAN])
    with np.errstate(over="ignore"):
        x, expected = x.astype(real), expected.astype(real)
    value = run(name, x, precision=precision)
    good = same(value, expected)
    assert good.all(), (x[~good], value[~good], expected[~good])


GRID = [0.0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 2.5, -2.5, INF, -INF, NAN, 1e10, 1e10 + 1, -1e10 - 1, 1 + 2.0**-23,
        1 - 2.0**-24, 2.0**24 + 2, -(2.0**53), 2.0**52 + 1, 1e300, -1e300, 5e-324, -5e-324, 3e-39, -3e-39, 3e38]  # fmt: skip


@pytest.mark.parametrize("precision", ["f64", "f32"])
@pytest.mark.parametrize(("name", "library"), [("pow", np.power), ("atan2", np.arctan2), ("rem", np.fmod)])
def test_two_arguments_at_their_ends(name, library, precision):
    """What C's functions do: infinite and zero bases and exponents, odd whole numbers, signed zeros."""
    real = REALS[precision]
    with np.errstate(all="ignore"):
        x, y = (np.array(v).astype(real) for v in zip(*itertools.product(GRID, GRID), strict=True))
        expected = library(x, y)
        close = np.abs(run(name, x, y, precision=precision) - expected) <= 3 * np.spacing(np.abs(expected))
    value = run(name, x, y, precision=precision)
    good = same(value, expected) | close & (np.signbit(value) == np.signbit(expected))
    assert good.all(), (x[~good], y[~good], value[~good], expected[~good])


def test_underflow_is_gradual():
    x = np.linspace(-745.1, -708.4, 5001)
    for name, given in (("exp", x), ("exp2", x / math.log(2)), ("logistic", x)):
        expected = LIBRARY[name](given.astype(np.longdouble)).astype(float)
        assert 0 < expected.min() < np.finfo(float).tiny
        assert np.max(np.abs(run(name, given) - expected) / 5e-324) <= 1
    x = np.array([26.6, 26.9, 27.0, 27.2])
    assert run("erfc", x) == pytest.approx(precise("erfc")(x).astype(float), rel=4e-16, abs=5e-324)
    tiny = np.array([5e-324, 1e-320, 2e-308])
    assert run("log", tiny) == pytest.approx(np.log(tiny), rel=3e-16)
    assert run("pow", tiny, np.full(3, 0.5)) == pytest.approx(np.sqrt(tiny), rel=3e-16)
    assert run("pow", np.full(3, 0.5), np.array([1074.0, 1060.0, 1022.0])).tolist() == [5e-324, 2.0**-1060, 2.0**-1022]


# --------------------------------------------------------------------------------------------------- lanes and machines


def mixture(name, precision):
    """Usual and unusual arguments next to each other."""
    generator = np.random.default_rng(7)
    size = 10.0 ** generator.uniform(-30, 30, 1000)
    x = np.concatenate([generator.uniform(-2, 2, 2000), size, -size, GRID])
    with np.errstate(all="ignore"):
        arrays = [generator.permutation(x).astype(REALS[precision]) for _ in range(2)]
    return arrays[: 2 if name in TWO else 1]


@pytest.mark.parametrize("precision", ["f64", "f32"])
def test_lanes_agree_to_the_bit(precision):
    """A patient's numbers do not depend on how many others are computed with it."""
    for name in NAMES:
        arrays = mixture(name, precision)
        values = [run(name, *arrays, lanes=lanes, precision=precision) for lanes in (1, 8, 16)]
        for v in values[1:]:
            assert same(values[0], v).all(), name


@pytest.mark.skipif(
    not EXTENDED or not llvm.get_process_triple().startswith("x86_64"), reason="x86-64's baseline, and its reals"
)
def test_without_fused_multiply_add():
    """The slower text for processors without the instruction is as exact, but for the odd half unit."""
    for name in ("exp", "log", "tanh", "sin", "tan", "acos", "erfc", "cbrt", "sinh"):
        x = points(name, "f64")
        x = x[:: max(1, len(x) // 2000)]
        assert units(run(name, x, fused=False), reference(name, x)).max() <= LIMITS[name] + 0.5, name
    x, y = (np.concatenate(v)[::100] for v in (BASES, POWERS))
    exact = np.power(x.astype(np.longdouble), y.astype(np.longdouble))
    assert units(run("pow", x, y, fused=False), exact).max() <= 1.7
    y, x = (v[:1000] for v in PLACES[:2])
    assert np.array_equal(run("rem", y, x, fused=False), np.fmod(y, x))


@pytest.mark.parametrize(
    ("triple", "processor", "lanes", "fused"),
    [
        ("x86_64-unknown-linux-gnu", ("haswell", ""), 8, True),
        ("x86_64-unknown-linux-gnu", BASELINE, 4, False),
        ("aarch64-unknown-linux-gnu", ("generic", ""), 4, True),
    ],
)
def test_nothing_is_called_from_outside(triple, processor, lanes, fused):
    for precision in REALS:
        target = machine(triple, *processor)
        code = target.emit_assembly(optimised(text(NAMES, lanes, precision, fused), target))
        called = set(re.findall(r"^\s+(?:callq?|bl|jmp|b)[ \t]+\"?([A-Za-z_][\w.$@]*)", code, re.MULTILINE))
        assert {c for c in called if not c.startswith(("tj.", "LBB"))} == set()


@pytest.mark.parametrize("precision", ["f64", "f32"])
def test_cuda_assembly(precision):
    """PTX without a declaration that another module would have to fill, and without a product that may yet be fused."""
    target = machine("nvptx64-nvidia-cuda", "sm_90", "+ptx80")
    code = target.emit_assembly(optimised(text(NAMES, 1, precision, kernel="ptx_kernel"), target))
    assert code.count(".visible .entry") == len(NAMES)
    assert ".extern" not in code
    assert re.search(r"fma\.rn\.f(32|64)", code)
    assert not re.search(r"\b(mul|add|sub)\.f(32|64)", code)


def test_definitions_come_once_with_all_that_they_call():
    definitions, declares = functions.needed(["lgamma", "asinh", "acosh", "atanh"], 4, "f32")
    defined = re.findall(r"^define internal \S+ \S+ \S+ @(\S+)\(", definitions, re.MULTILINE)
    called = re.findall(r"call \S+ \S+ \S+ @(tj\.[\w.]+)\(", definitions)
    assert sorted(defined) == sorted(set(defined))
    assert set(called) <= set(defined)
    assert {"tj.log1p", "tj.lgamma", "tj.double.lgamma"} <= set(defined)
    assert len(declares) == len(set(declares))
    assert functions.definition("log1p", 4, "f32") in definitions
    with pytest.raises(KeyError):
        functions.needed(["bessel"], 4, "f64")
