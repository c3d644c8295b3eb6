"""The Kronecker product with dense blocks is numpy's, for wires of every kind."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.topology import CirculantLayer, KroneckerLayer, dense_layer, kronecker

from .kinds import LAYERS


@pytest.mark.parametrize("blocks", [(1, 1), (2, 3), (3, 1), (1, 4)], ids=str)
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
def test_it_is_the_kronecker_product_of_ones_and_the_biadjacency(layer, blocks):
    product = kronecker(layer, *blocks)
    expected = np.kron(np.ones(blocks, dtype=bool), layer.biadjacency().numpy())
    assert product.shape == expected.shape
    assert (product.biadjacency().numpy() == expected).all()


def test_arithmetic_wires_stay_arithmetic_and_products_of_products_flatten():
    base = CirculantLayer(6, range(0, 6, 2))
    nested = kronecker(kronecker(base, 2, 3), 4, 5)
    assert isinstance(nested, KroneckerLayer) and nested.base is base
    assert (nested.blocks_in, nested.blocks_out, nested.shape) == (8, 15, (48, 90))
    assert kronecker(base, 1, 1) is base


def test_a_dense_layer_has_every_wire():
    layer = dense_layer(3, 5)
    assert layer.shape == (3, 5) and layer.density == 1.0 and layer.biadjacency().all()


def test_a_large_product_costs_nothing_to_open():
    layer = dense_layer(2**40, 2**41)
    assert layer.n_edges == 2**81 and layer.density == 1.0
    assert kronecker(CirculantLayer(2**36, (0, 5)), 3, 2).successors(2**37).tolist() == [0, 5, 2**36, 2**36 + 5]


@pytest.mark.parametrize("arguments, rule", [
    ((0, 2), "blocks_in must be an integer of at least 1, got 0"),
    ((2, 1.5), "blocks_out must be an integer of at least 1, got 1.5"),
    ((2**60, 1), "the product of blocks and nodes must be an integer of at most 4611686018427387904"),
])  # fmt: skip
def test_wrong_blocks_are_refused(arguments, rule):
    with pytest.raises(NbkitError, match=f"^kronecker: {rule}"):
        kronecker(CirculantLayer(6, (0, 1)), *arguments)


def test_a_matrix_is_no_layer():
    with pytest.raises(NbkitError, match=r"^kronecker: layer must be a Layer, got ndarray\. .+Layer\.from_biadjacency"):
        kronecker(np.eye(2), 2, 2)


def test_a_listed_product_beyond_the_budget_is_refused(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "1KiB")
    with pytest.raises(NbkitError, match="^kronecker: .+ but it would take 2.+KiB. Lower the widths"):
        kronecker(LAYERS["listed"], 3, 3)
