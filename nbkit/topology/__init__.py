"""Wires: layers, topologies and the families of the five papers."""

from nbkit.topology.biregular import biregular
from nbkit.topology.blocks import Blocks, complete_blocks, component_labels
from nbkit.topology.expander import admitted_degrees, cayley_expander, is_cascade_connected, random_expander
from nbkit.topology.fnn import evaluate_fnn
from nbkit.topology.kronecker import KroneckerLayer, dense_layer, kronecker
from nbkit.topology.layer import EdgeLayer, Layer
from nbkit.topology.pruning import magnitude_pruned, random_pruned
from nbkit.topology.radix import digits, label, mixed_radix, radix_net, route
from nbkit.topology.structured import CirculantLayer, RegularLayer, XorLayer
from nbkit.topology.topology import Topology

__all__ = [
    "Blocks",
    "CirculantLayer",
    "EdgeLayer",
    "KroneckerLayer",
    "Layer",
    "RegularLayer",
    "Topology",
    "XorLayer",
    "admitted_degrees",
    "biregular",
    "cayley_expander",
    "complete_blocks",
    "component_labels",
    "dense_layer",
    "digits",
    "evaluate_fnn",
    "is_cascade_connected",
    "kronecker",
    "label",
    "magnitude_pruned",
    "mixed_radix",
    "radix_net",
    "random_expander",
    "random_pruned",
    "route",
]
