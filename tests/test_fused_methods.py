"""The coefficients of the fused methods satisfy their order conditions, and elimination solves what it says."""

import math

import diffrax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax.solve.fused.elimination import Elimination, eliminate
from twinjax.solve.fused.tableaus import RODAS5P, TSIT5

EPS = np.finfo(float).eps

# ------------------------------------------------------------------------------------------- order conditions: trees


def rooted_trees(size):
    """All rooted trees of that many vertices, each the sorted tuple of its branches."""

    def forests(total, largest):
        if total == 0:
            yield ()
        for first in range(min(total, largest), 0, -1):
            for tree in rooted_trees(first):
                for rest in forests(total - first, first):
                    yield tuple(sorted((tree, *rest)))

    return sorted(set(forests(size - 1, size - 1)))


def vertices(tree):
    return 1 + sum(map(vertices, tree))


def density(tree):
    return vertices(tree) * math.prod(map(density, tree))


def elementary_weights(tree, alpha, beta):
    """Per stage. A Rosenbrock method multiplies by alpha + Gamma where a vertex has one branch, else by alpha
    (Hairer and Wanner, Solving ODEs II, IV.7); an explicit method has one matrix for both.
    """
    if not tree:
        return np.ones(len(alpha))
    matrix = beta if len(tree) == 1 else alpha
    return np.prod([matrix @ elementary_weights(branch, alpha, beta) for branch in tree], axis=0)


def square(rows):
    full = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        full[i, : len(row)] = row
    return full


def tsit5_form():
    a, b = square(TSIT5.a), np.array(TSIT5.b)
    return a, a, b, b - np.array(TSIT5.error), np.array(TSIT5.polynomials)


def rodas5p_form():
    """alpha, alpha + Gamma and weights of slopes, from the form with U: Gamma^-1 = I / gamma - C."""
    gamma = np.linalg.inv(np.eye(RODAS5P.stages) / RODAS5P.gamma - square(RODAS5P.coupling))
    alpha, b = square(RODAS5P.a) @ gamma, np.array(RODAS5P.b) @ gamma
    first, second, third = np.array(RODAS5P.dense) @ gamma
    polynomials = np.stack([b + first, second - first, third - second, -third], axis=1)
    return alpha, alpha + gamma, b, b - np.array(RODAS5P.error) @ gamma, polynomials


FORMS = {"tsit5": tsit5_form(), "rodas5p": rodas5p_form()}


def residual(weights, order, alpha, beta):
    return max(abs(weights @ elementary_weights(t, alpha, beta) - 1 / density(t)) for t in rooted_trees(order))


def test_trees_are_all_there():
    assert [len(rooted_trees(n)) for n in range(1, 7)] == [1, 1, 2, 4, 9, 20]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("order", range(1, 6))
def test_order_conditions(name, order):
    alpha, beta, b, embedded, polynomials = FORMS[name]
    # Coefficients of 16 digits and up to 150: their rounding leaves 1e-14 in a weight, 1e-13 in an interpolant's.
    assert residual(b, order, alpha, beta) < 3e-14
    if order <= 4:
        assert residual(embedded, order, alpha, beta) < 3e-14
    else:
        assert residual(embedded, order, alpha, beta) > 1e-4  # else it would estimate nothing
    for tree in rooted_trees(order):
        found = elementary_weights(tree, alpha, beta) @ polynomials
        wanted = np.eye(5)[order - 1, :4] / density(tree)
        assert order == 5 or np.max(abs(found - wanted)) < 1e-12


@pytest.mark.parametrize("name", FORMS)
def test_sixth_order_is_not_met(name):
    alpha, beta, b, _, _ = FORMS[name]
    assert residual(b, 6, alpha, beta) > 1e-4


def test_times_of_the_stages_are_row_sums():
    assert np.allclose(square(TSIT5.a).sum(axis=1), TSIT5.c, rtol=0, atol=1e-14)
    alpha, beta, *_ = FORMS["rodas5p"]
    # An inverse and coefficients up to 150: rounding differs between linear algebra libraries, by 1e-14 or so.
    assert np.allclose(alpha.sum(axis=1), RODAS5P.c, rtol=0, atol=1e-13)
    assert np.allclose((beta - alpha).sum(axis=1), RODAS5P.d, rtol=0, atol=1e-13)


def test_shapes_that_kernels_rely_on():
    assert TSIT5.a[-1] == TSIT5.b[:-1]
    assert TSIT5.b[-1] == 0.0
    for tableau, lower in ((TSIT5, (TSIT5.a,)), (RODAS5P, (RODAS5P.a, RODAS5P.coupling))):
        assert all(len(row) == i for rows in lower for i, row in enumerate(rows))
        assert {len(tableau.b), len(tableau.c), len(tableau.error)} | set(map(len, tableau.dense)) == {tableau.stages}
        assert len(tableau.dense) == 3
    assert (*RODAS5P.a[7], 1.0) == RODAS5P.b
    assert (*RODAS5P.a[6], 1.0) == RODAS5P.a[7]
    assert (*RODAS5P.a[5], 1.0) == RODAS5P.a[6]
    assert RODAS5P.error == (0.0,) * 7 + (1.0,)


@pytest.mark.parametrize("weights", [2, 3], ids=["step", "embedded"])
def test_rodas5p_is_l_stable(weights):
    _, beta, *_ = FORMS["rodas5p"]
    b, one = FORMS["rodas5p"][weights], np.ones(RODAS5P.stages)
    assert abs(1 - b @ np.linalg.solve(beta, one)) < 1e-12  # R at infinity; weights of size 100
    # No poles left of the axis (all eigenvalues of beta are gamma), so the axis is where |R| is largest.
    for y in np.logspace(-3, 5, 2000):
        assert abs(1 + 1j * y * b @ np.linalg.solve(np.eye(8) - 1j * y * beta, one)) <= 1 + 1e-13


def test_tsit5_is_diffrax_s():
    """Both are typed from the publication."""
    table, values = diffrax.Tsit5.tableau, np.array(TSIT5.polynomials)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(TSIT5.a[1:], table.a_lower, strict=True))
    assert np.array_equal(TSIT5.b, table.b_sol)
    assert np.array_equal(TSIT5.c[1:], table.c)
    assert np.allclose(TSIT5.error, table.b_error, rtol=0, atol=1e-15)
    unit = diffrax.Tsit5.interpolation_cls(t0=0.0, t1=1.0, y0=jnp.zeros(7), y1=None, k=jnp.eye(7))
    for x in (0.0, 0.2, 0.55, 0.9, 1.0):
        weights = values @ x ** np.arange(1, 5)
        # theirs are evaluated in factors, ours multiplied out: coefficients of 90 leave some 1e-13
        assert np.allclose(weights, unit.evaluate(x), rtol=0, atol=1e-13)
        first, second, third = np.array(TSIT5.dense)
        shared = x * (np.array(TSIT5.b) + (1 - x) * (first + x * (second + x * third)))
        assert np.allclose(weights, shared, rtol=0, atol=1e-13)


# ------------------------------------------------------------------------------------------ the formulas, as they stand


def explicit_step(f, t, y, h):
    k = []
    for row, c in zip(TSIT5.a, TSIT5.c, strict=True):
        k.append(f(t + c * h, y + h * sum(a * x for a, x in zip(row, k, strict=True))))
    return tuple(h * np.array(w) @ np.array(k) for w in (TSIT5.b, TSIT5.error, TSIT5.dense))


def implicit_step(f, jacobian, f_t, t, y, h):
    p, big_u = RODAS5P, []
    w = np.eye(len(y)) / (h * p.gamma) - jacobian(t, y)
    for i in range(p.stages):
        slope = f(t + p.c[i] * h, y + sum(a * x for a, x in zip(p.a[i], big_u, strict=True)))
        pull = sum(c * x for c, x in zip(p.coupling[i], big_u, strict=True)) / h
        big_u.append(np.linalg.solve(w, slope + pull + h * p.d[i] * f_t(t, y)))
    return tuple(np.array(weights) @ np.array(big_u) for weights in (p.b, p.error, p.dense))


def between(y, moved, d, x):
    return (1 - x) * y + x * (y + moved + (1 - x) * (d[0] + x * (d[1] + x * d[2])))


MIX = np.array([[1.0, 0.4], [-0.3, 0.8]])
"""Makes every state depend on every other."""


def target(t):
    """y = (1 / g, g) with g = 1 + t + sin(t) / 2 solves y0' = -y0^2 g', y1' = y0 y1 g'."""
    g = 1 + t + 0.5 * np.sin(t)
    return MIX @ np.array([1 / g, g])


def forced(t, z):
    y = np.linalg.solve(MIX, z)
    return (1 + 0.5 * np.cos(t)) * (MIX @ np.array([-(y[0] ** 2), y[0] * y[1]]))


def forced_jacobian(t, z):
    y = np.linalg.solve(MIX, z)
    inner = np.array([[-2 * y[0], 0.0 * y[0]], [y[1], y[0]]])
    return (1 + 0.5 * np.cos(t)) * (MIX @ inner @ np.linalg.inv(MIX))


def forced_slope(t, z):
    return -0.5 * np.sin(t) / (1 + 0.5 * np.cos(t)) * forced(t, z)


def no_slope(t, z):
    return np.zeros_like(z)


def errors(step, steps, end=2.0, exact=target):
    """Largest error at the steps, between them, and as it is estimated."""
    y, h, found = exact(0.0), end / steps, np.zeros(3)
    for n in range(steps):
        moved, error, d = step(n * h, y, h)
        inside = [between(y, moved, d, x) - exact((n + x) * h) for x in (0.1, 0.3, 0.5, 0.7, 0.9)]
        y = y + moved
        found = np.maximum(found, [np.abs(y - exact((n + 1) * h)).max(), np.abs(inside).max(), np.abs(error).max()])
    return found


def observed_orders(step, **kwargs):
    coarse, fine = (errors(step, n, **kwargs) for n in (80, 160))
    return np.log2(coarse / fine)


def test_orders_observed_on_a_nonlinear_forced_problem():
    explicit = observed_orders(lambda t, y, h: explicit_step(forced, t, y, h))
    implicit = observed_orders(lambda t, y, h: implicit_step(forced, forced_jacobian, forced_slope, t, y, h))
    careless = observed_orders(lambda t, y, h: implicit_step(forced, forced_jacobian, no_slope, t, y, h))
    # All but the last are 5 in the limit (an interpolant's local error and an error estimate are of that order too).
    # Tsit5's leading error constant is so small that order 6 shows first.
    assert 4.8 < explicit[0] < 6.2
    assert np.all(np.abs(explicit[1:] - 5) < 0.2)
    assert np.all(np.abs(implicit - 5) < 0.2)
    assert np.all(np.abs(careless - 2) < 0.2)  # what leaving out df/dt costs


def test_time_is_as_good_as_a_state():
    """The same equations with time as a third state give the same step: h d[i] f_t and c[i] are what they should be."""
    t, h = 0.7, 0.3
    y = target(t)

    def joined(_, z):
        return np.append(forced(z[2], z[:2]), 1.0)

    def joined_jacobian(_, z):
        wide = np.column_stack([forced_jacobian(z[2], z[:2]), forced_slope(z[2], z[:2])])
        return np.vstack([wide, np.zeros(3)])

    apart = implicit_step(forced, forced_jacobian, forced_slope, t, y, h)
    whole = implicit_step(joined, joined_jacobian, no_slope, t, np.append(y, t), h)
    for a, b in zip(apart, whole, strict=True):
        assert np.allclose(a, b[..., :2], rtol=0, atol=1e-13)
    assert abs(whole[0][2] - h) < 1e-13
    assert np.max(np.abs(whole[2][:, 2])) < 1e-13  # time passes evenly inside a step
    plain = implicit_step(forced, forced_jacobian, no_slope, t, y, h)
    assert np.max(np.abs(apart[0] - plain[0])) > 1e-5  # without the term it is another step


@pytest.mark.parametrize("stiffness", [1e4, 1e6, 1e9])
def test_stiff_states_follow_their_target(stiffness):
    """Prothero and Robinson's problem: the error falls like h^3 and with the stiffness, and never with h alone."""

    def step(t, y, h):
        return implicit_step(
            lambda t, y: -stiffness * (y - np.sin(t)) + np.cos(t),
            lambda t, y: np.array([[-stiffness]]),
            lambda t, y: np.array([stiffness * np.cos(t) - np.sin(t)]),
            t, y, h,
        )  # fmt: skip

    coarse, fine = (errors(step, n, exact=lambda t: np.array([np.sin(t)])) for n in (5, 10))
    assert coarse[0] < max(1e-3 / stiffness, 1e-15)
    if stiffness < 1e9:  # beyond, rounding hides the order
        assert np.log2(coarse[0] / fine[0]) > 2.8
    assert np.log2(coarse[1] / fine[1]) > 3.8  # between the steps, the interpolant's own order


def test_tangents_use_the_same_matrix():
    """dU as the docstring has it, against complex steps through the whole of a step."""
    t, h = 0.7, 0.3
    y, dy = target(t), np.array([0.3, -1.1])
    tiny = 1e-30

    def along(function, *args):
        """The derivative along the imaginary parts."""
        return np.imag(function(*args)) / tiny

    p, big_u, d_u = RODAS5P, [], []
    w = np.eye(2) / (h * p.gamma) - forced_jacobian(t, y)
    d_jacobian = along(forced_jacobian, t, y + 1j * tiny * dy)
    for i in range(p.stages):
        stage = y + sum(a * x for a, x in zip(p.a[i], big_u, strict=True))
        d_stage = dy + sum(a * x for a, x in zip(p.a[i], d_u, strict=True))
        pull, d_pull = (sum(c * x for c, x in zip(p.coupling[i], v, strict=True)) / h for v in (big_u, d_u))
        big_u.append(np.linalg.solve(w, forced(t + p.c[i] * h, stage) + pull + h * p.d[i] * forced_slope(t, y)))
        d_right = along(forced, t + p.c[i] * h, stage + 1j * tiny * d_stage) + d_pull
        d_right = d_right + h * p.d[i] * along(forced_slope, t, y + 1j * tiny * dy)
        d_u.append(np.linalg.solve(w, d_right + d_jacobian @ big_u[i]))
    moved, error, d = implicit_step(forced, forced_jacobian, forced_slope, t, y + 1j * tiny * dy, h)
    # rounding of sums whose terms are some hundred times the result
    assert np.allclose(np.array(p.b) @ d_u, moved.imag / tiny, rtol=0, atol=1e-13)
    assert np.allclose(np.array(p.error) @ d_u, error.imag / tiny, rtol=0, atol=1e-13)
    assert np.allclose(np.array(p.dense) @ d_u, d.imag / tiny, rtol=0, atol=1e-12)


# --------------------------------------------------------------------------------------------------------- elimination


def factor(e: Elimination, matrix):
    """As the docstring has it; an entry that is not in the pattern raises."""
    w = {entry: matrix[entry] for entry in e.pattern}
    for p in e.pivots:
        k = p.index
        w[k, k] = 1 / w[k, k]
        for i in p.rows:
            w[i, k] *= w[k, k]
            for j in p.columns:
                w[i, j] -= w[i, k] * w[k, j]
    return w


def solve(e: Elimination, w, b):
    b = list(b)
    for p in e.pivots:
        for i in p.rows:
            b[i] -= w[i, p.index] * b[p.index]
    for p in reversed(e.pivots):
        b[p.index] = (b[p.index] - sum(w[p.index, j] * b[j] for j in p.columns)) * w[p.index, p.index]
    return np.array(b)


def body():
    """Fourteen states: a depot, eleven organs between arterial and venous blood, gut and spleen before the liver."""
    depot, gut, spleen, liver, *others, lung, artery, vein = range(14)
    flows = [(depot, gut), (gut, liver), (spleen, liver), (liver, vein), (vein, lung), (lung, artery)]
    flows += [(artery, organ) for organ in (gut, spleen, liver, *others)] + [(organ, vein) for organ in others]
    return 14, [(i, j) for a, b in flows for i, j in ((b, a), (a, a))]


def scattered(size, density, seed):
    return size, np.argwhere(np.random.default_rng(seed).uniform(size=(size, size)) < density).tolist()


PATTERNS = {
    "nothing": (0, []),
    "one": (1, []),
    "diagonal": (5, [(i, i) for i in range(5)]),
    "dense": (9, [(i, j) for i in range(9) for j in range(9)]),
    "arrow": (56, [(0, i) for i in range(56)] + [(i, 0) for i in range(56)]),
    "chain": (56, [(i, i - 1) for i in range(1, 56)]),
    "chain back and forth": (56, [(i, i + s) for i in range(56) for s in (-1, 1) if 0 <= i + s < 56]),
    "ring": (20, [(i, (i - 1) % 20) for i in range(20)]),
    "target-mediated": (4, [(0, 1), (1, 0), (0, 2), (0, 3), (2, 0), (2, 3), (3, 0), (3, 2)]),
    "body": body(),
    "scattered": scattered(30, 0.08, 1),
    "scattered thickly": scattered(30, 0.2, 2),
}


def filled_in(size, pattern, order):
    """Where non-zeros appear: elimination on a full array of booleans."""
    full = np.eye(size, dtype=bool)
    for i, j in pattern:
        full[i, j] = True
    for turn, k in enumerate(order):
        later = np.array(order[turn + 1 :], dtype=int)
        full[np.ix_(later, later)] |= np.outer(full[later, k], full[k, later])
    return full


@pytest.mark.parametrize("name", PATTERNS)
def test_pattern_is_that_of_full_elimination(name):
    size, pattern = PATTERNS[name]
    e = eliminate(size, [tuple(entry) for entry in pattern])
    assert sorted(e.order) == list(range(size))
    assert list(e.pattern) == [tuple(x) for x in np.argwhere(filled_in(size, pattern, e.order))]
    given = {(i, j) for i, j in pattern} | {(i, i) for i in range(size)}
    assert set(e.fill) == set(e.pattern) - given
    turn = {k: n for n, k in enumerate(e.order)}
    for p in e.pivots:
        assert set(p.rows) == {i for i, j in e.pattern if j == p.index and turn[i] > turn[p.index]}
        assert set(p.columns) == {j for i, j in e.pattern if i == p.index and turn[j] > turn[p.index]}
    assert e.solve_operations == len(e.pattern)


@pytest.mark.parametrize("name", PATTERNS)
def test_solves(name):
    """Dominant columns, as compartments have; then the same with rows and columns in units up to 2^40 apart."""
    size, pattern = PATTERNS[name]
    e, rng = eliminate(size, [tuple(entry) for entry in pattern]), np.random.default_rng(7)
    matrix, diagonal = np.zeros((size, size)), np.diag_indices(size)
    for i, j in pattern:
        matrix[i, j] = rng.normal()
    matrix[diagonal] = 0.0
    matrix[diagonal] = (np.abs(matrix).sum(axis=0) + rng.uniform(0.1, 1.0, size)) * rng.choice([-1, 1], size)
    b = rng.normal(size=size)
    found, wanted = solve(e, factor(e, matrix), b), np.linalg.solve(matrix, b)
    # Dominance bounds the growth of entries by 2, so the solution is off by rounding times the condition number.
    condition = np.linalg.cond(matrix, np.inf) if size else 1.0
    assert np.all(np.abs(found - wanted) <= 4 * size * EPS * condition * np.max(np.abs(wanted), initial=0.0))
    left, right = 2.0 ** rng.integers(-20, 21, (2, size))
    scaled = solve(e, factor(e, left[:, None] * matrix * right), left * b)
    assert np.array_equal(scaled * right, found)  # powers of two round nothing, and no unit sways the order


@pytest.mark.parametrize("h", [1e-9, 1e-3, 1.0, 1e3, 1e9])
def test_solves_target_mediated_disposition_at_any_step(h):
    """Binding is not dominated by the diagonal; concentrations here span twelve decades."""
    e, rng = eliminate(*PATTERNS["target-mediated"]), np.random.default_rng(3)
    for _ in range(200):
        kel, kon, koff, kdeg, kint, kpt, ktp = 10 ** rng.uniform(-2, 2, 7)
        drug, target_ = 10 ** rng.uniform(-6, 6, 2)
        jacobian = np.array([
            [-kel - kpt - kon * target_, ktp, -kon * drug, koff],
            [kpt, -ktp, 0.0, 0.0],
            [-kon * target_, 0.0, -kdeg - kon * drug, koff],
            [kon * target_, 0.0, kon * drug, -koff - kint],
        ])  # fmt: skip
        w = np.eye(4) / (h * RODAS5P.gamma) - jacobian
        b = rng.normal(size=4)
        x = solve(e, factor(e, w), b)
        # backward error: as small as what partial pivoting promises, up to a growth of ten
        assert np.max(np.abs(w @ x - b)) <= 40 * EPS * (np.abs(w).sum(axis=1).max() * np.max(np.abs(x)))


@pytest.mark.parametrize("turn", [1.0, 1e3, 1e6])
def test_a_rotation_loses_the_digits_it_says(turn):
    e, rng = eliminate(2, [(0, 1), (1, 0)]), np.random.default_rng(5)
    matrix = np.array([[1.0, -turn], [turn, 1.0]])
    worst = 0.0
    for b in rng.normal(size=(200, 2)):
        x = np.array([b[0] + turn * b[1], b[1] - turn * b[0]]) / (1 + turn**2)
        worst = max(worst, np.max(np.abs(solve(e, factor(e, matrix), b) - x)) / np.max(np.abs(x)))
    assert worst < 10 * turn * EPS
    assert turn == 1.0 or worst > 0.1 * turn * EPS


def counts(name):
    e = eliminate(*PATTERNS[name])
    return e.factor_operations, e.solve_operations, len(e.fill)


def test_operation_counts():
    """Trees and chains fill nothing; the body fills two entries; a hub comes last, else an arrow would be full."""
    assert counts("diagonal") == (0, 5, 0)
    assert counts("chain") == (0, 111, 0)
    assert counts("chain back and forth") == (110, 166, 0)
    assert counts("arrow") == (110, 166, 0)
    assert eliminate(*PATTERNS["arrow"]).order[-2:] == (0, 55)
    assert counts("dense") == (sum(k * (k + 1) for k in range(9)), 81, 0)
    assert counts("target-mediated") == (10, 12, 0)
    assert counts("body") == (25, 39, 2)


def test_long_chains_and_large_stars():
    """Their cost is that of their non-zeros."""
    size = 4_000
    star = eliminate(size, [(0, i) for i in range(size)] + [(i, 0) for i in range(size)])
    chain = eliminate(size, [(i, i + s) for i in range(size) for s in (-1, 1) if 0 <= i + s < size])
    for e in (star, chain):
        assert (e.factor_operations, e.solve_operations, e.fill) == (2 * (size - 1), 3 * size - 2, ())


def test_repeats_and_order_of_entries_do_not_matter():
    size, pattern = PATTERNS["scattered"]
    entries = [tuple(x) for x in pattern]
    assert eliminate(size, entries) == eliminate(size, [*entries[::-1], *entries])


@pytest.mark.parametrize("entry", [(3, 0), (0, 3), (-1, 0)])
def test_entries_outside_are_refused(entry):
    with pytest.raises(ValueError, match="outside a system of 3"):
        eliminate(3, [entry])
