"""Parameter names and the leaves they stand for."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from twinjax.naming import bind, get, leaves, names, resolve, suggestion


class Liver(eqx.Module):
    clint: float
    volume: float


class Body(eqx.Module):
    cl: float
    liver: Liver
    gut: Liver
    table: dict
    pair: tuple


TREE = Body(1.0, Liver(2.0, 3.0), Liver(4.0, 5.0), {"ka": 6.0}, (7.0, 8.0))
NAMES = ("cl", "liver.clint", "liver.volume", "gut.clint", "gut.volume", "table.ka", "pair.0", "pair.1")


def test_names_are_dotted_paths_in_leaf_order():
    assert names(TREE) == NAMES
    assert leaves(TREE) == dict(zip(NAMES, jax.tree.leaves(TREE), strict=True))
    assert names(Liver(None, 1.0)) == ("volume",)


def test_get_by_name_or_unambiguous_ending():
    assert get(TREE, "liver.clint") == 2.0
    assert get(TREE, "ka") == 6.0
    assert get(TREE, "cl") == 1.0


def test_whole_name_goes_before_endings():
    assert resolve("cl", ("pk.cl", "cl")) == "cl"
    assert resolve("cl", ("pk.cl", "pk.xcl")) == "pk.cl"


def test_ambiguous_ending_is_refused_with_all_it_could_mean():
    with pytest.raises(ValueError, match=r"'clint' could be any of liver.clint, gut.clint; write the full name"):
        get(TREE, "clint")


@pytest.mark.parametrize(("wrong", "near"), [("liver.clnt", "liver.clint"), ("CL", "cl"), ("Ka", "table.ka")])
def test_miss_suggests_the_nearest(wrong, near):
    with pytest.raises(ValueError, match=rf"there is no parameter {wrong!r}; did you mean .*{near!r}.*Known: cl"):
        get(TREE, wrong)


def test_miss_with_nothing_near_lists_what_is_known():
    with pytest.raises(ValueError, match=r"there is no state 'zzzzz'\. Known: a, b$"):
        resolve("zzzzz", ("a", "b"), "state")
    with pytest.raises(ValueError, match="There are none"):
        resolve("a", (), "state")
    assert suggestion("x", [f"parameter{i}" for i in range(40)]).endswith(", ...")


def test_bind_replaces_only_what_is_named():
    bound = bind(TREE, {"liver.clint": 20.0, "ka": 60.0})
    assert leaves(bound) == leaves(TREE) | {"liver.clint": 20.0, "table.ka": 60.0}
    assert get(TREE, "liver.clint") == 2.0
    assert bind(TREE, {}) == TREE


def test_bind_refuses_unknown_and_doubled_names():
    with pytest.raises(ValueError, match="there is no parameter 'clx'"):
        bind(TREE, {"clx": 1.0})
    with pytest.raises(ValueError, match=r"'ka' and 'table.ka' are the same parameter, 'table.ka'; give one"):
        bind(TREE, {"table.ka": 1.0, "ka": 2.0})


def test_bind_is_transparent_to_gradients():
    slope = jax.grad(lambda x: get(bind(TREE, {"gut.volume": x}), "gut.volume") ** 2)(jnp.asarray(3.0))
    assert slope == 6.0
