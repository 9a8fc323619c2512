"""The coefficients of the two methods that kernels are written from, and the formulas they stand in.

Numbers only, as Python floats: a kernel's text holds them, and its fingerprint covers them. In both methods a step goes
from `(t, y)` to `(t + h, y1)` by stages numbered from 0, and row i of `a` holds the i stages before it.
"""

from __future__ import annotations

from dataclasses import dataclass

Row = tuple[float, ...]
Matrix = tuple[Row, ...]


@dataclass(frozen=True)
class ExplicitTableau:
    """An explicit Runge-Kutta pair whose last stage is the next step's first, with an interpolant.

    **Equations**

        k[i]     = f(t + c[i] h,  y + h sum_{j<i} a[i][j] k[j])
        y1       = y + h sum_i b[i] k[i]
        error    = h sum_i error[i] k[i]                            y1 less the embedded solution, of order `order - 1`
        y(t+xh)  = y + h sum_i k[i] (polynomials[i][0] x + polynomials[i][1] x^2 + ...)                    0 <= x <= 1
                 = (1-x) y + x (y1 + (1-x) (D[0] + x (D[1] + x D[2]))),      D[r] = h sum_i dense[r][i] k[i]

    The last row of `a` is `b`: the last stage's argument is `y1`, and its slope serves the following step unless the
    state jumps. The second form of the interpolant gives `y` and `y1` at the ends to the last bit; its error is of
    order 5 in `h` (order 4).
    """

    name: str
    order: int
    a: Matrix
    b: Row
    c: Row
    error: Row
    polynomials: Matrix

    @property
    def stages(self) -> int:
        """How many slopes a step uses, the one shared with the next step included."""
        return len(self.b)

    @property
    def dense(self) -> Matrix:
        """The interpolant in the form it shares with `RosenbrockTableau`: three rows of weights of the slopes."""
        first = tuple(p[0] - b for p, b in zip(self.polynomials, self.b, strict=True))
        second = tuple(p[1] + q for p, q in zip(self.polynomials, first, strict=True))
        return first, second, tuple(-p[3] for p in self.polynomials)


@dataclass(frozen=True)
class RosenbrockTableau:
    """A linearly implicit pair: every stage solves with one matrix, which is factorised once a step.

    **Equations**, with J = df/dy and f_t = df/dt at the step's start `(t, y)`, and W = I / (h gamma) - J

        W U[i]   = f(t + c[i] h,  y + sum_{j<i} a[i][j] U[j]) + (1/h) sum_{j<i} coupling[i][j] U[j] + h d[i] f_t
        y1       = y + sum_i b[i] U[i]
        error    = sum_i error[i] U[i]                              y1 less the embedded solution, of order `order - 1`
        y(t+xh)  = (1-x) y + x (y1 + (1-x) (D[0] + x (D[1] + x D[2]))),        D[r] = sum_i dense[r][i] U[i]

    U has the units of y, and no factor of h stands before the sums. f_t is the partial derivative at fixed y, in one
    direction of forward mode (`jvp` of f along t); equations that do not name the time have none, and the term falls
    away. Where they do, it can not be left out: the order drops to 2. Only what changes within the step counts: a
    signal that is linear between its knots gives its slope, with the knots at the ends of steps; an input that is
    constant from event to event gives nothing. J, where an `abs`, `min` or `where` switches, is that of the branch
    taken at the step's start.

    The method is stiffly accurate: where `a[i]` ends in ones, a stage's argument is the stage before's argument plus
    its U, `y1` is the last argument plus the last U, and that last U is the error.

    A tangent (dy, dp) of the step with h frozen solves with the same factors,
    `W dU[i] = d(right-hand side) + dJ U[i]`, where dJ U is the derivative of J U along (dy, dp) at the step's start.
    """

    name: str
    order: int
    gamma: float
    a: Matrix
    coupling: Matrix
    b: Row
    c: Row
    d: Row
    error: Row
    dense: Matrix

    @property
    def stages(self) -> int:
        """How many slopes are evaluated, and systems solved, in a step."""
        return len(self.b)


TSIT5 = ExplicitTableau(
    name="tsit5",
    order=5,
    a=(
        (),
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
    ),
    b=(0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774, 0.0),
    c=(0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0),
    error=(
        0.00178001105222577714,
        0.0008164344596567469,
        -0.007880878010261995,
        0.1447110071732629,
        -0.5823571654525552,
        0.45808210592918697,
        -1 / 66,
    ),
    polynomials=(
        (1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216),
        (0.0, 0.1317, -0.2234, 0.1017),
        (0.0, 3.9302962368947516, -5.941033872131505, 2.490627285651253),
        (0.0, -12.411077166933676, 30.33818863028232, -16.548102889244902),
        (0.0, 37.50931341651104, -88.1789048947664, 47.37952196281928),
        (0.0, -27.896526289197286, 65.09189467479366, -34.87065786149661),
        (0.0, 1.5, -4.0, 2.5),
    ),
)
"""Seven stages, the last shared with the next step. Error constants are small beside Dormand and Prince's.

**Reference**: Tsitouras (2011), Comput. Math. Appl. 62, 770-775, doi:10.1016/j.camwa.2011.06.002. The polynomials are
the published factors of the interpolant multiplied out.
"""

_RODAS5P_LAST = (-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946)

RODAS5P = RosenbrockTableau(
    name="rodas5p",
    order=5,
    gamma=0.21193756319429014,
    a=(
        (),
        (3.0,),
        (2.849394379747939, 0.45842242204463923),
        (-6.954028509809101, 2.489845061869568, -10.358996098473584),
        (2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641),
        _RODAS5P_LAST,
        (*_RODAS5P_LAST, 1.0),
        (*_RODAS5P_LAST, 1.0, 1.0),
    ),
    coupling=(
        (),
        (-14.155112264123755,),
        (-17.97296035885952, -2.859693295451294),
        (147.12150275711716, -1.41221402718213, 71.68940251302358),
        (165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306),
        (24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471),
        (
            30.91273214028599,
            -3.1208243349937974,
            77.79954646070892,
            34.28646028294783,
            -19.097331116725623,
            -28.087943162872662,
        ),
        (
            37.80277123390563,
            -3.2571969029072276,
            112.26918849496327,
            66.9347231244047,
            -40.06618937091002,
            -54.66780262877968,
            -9.48861652309627,
        ),
    ),
    b=(*_RODAS5P_LAST, 1.0, 1.0, 1.0),
    c=(0.0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664, 1.0, 1.0, 1.0),
    d=(
        0.21193756319429014,
        -0.42387512638858027,
        -0.3384627126235924,
        1.8046452872882734,
        2.325825639765069,
        0.0,
        0.0,
        0.0,
    ),
    error=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    dense=(
        (
            25.948786856663858,
            -2.5579724845846235,
            10.433815404888879,
            -2.3679251022685204,
            0.524948541321073,
            1.1241088310450404,
            0.4272876194431874,
            -0.17202221070155493,
        ),
        (
            -9.91568850695171,
            -0.9689944594115154,
            3.0438037242978453,
            -24.495224566215796,
            20.176138334709044,
            15.98066361424651,
            -6.789040303419874,
            -6.710236069923372,
        ),
        (
            11.419903575922262,
            2.8879645146136994,
            72.92137995996029,
            80.12511834622643,
            -52.072871366152654,
            -59.78993625266729,
            -0.15582684282751913,
            4.883087185713722,
        ),
    ),
)
"""Eight stages, L-stable, order 5(4), with an interpolant of order 4. Where a stiff state follows a moving target
(Prothero and Robinson), the error falls like h^3 and with the stiffness.

**Reference**: Steinebach (2023), BIT Numer. Math. 63, 27, doi:10.1007/s10543-023-00967-x.
"""
