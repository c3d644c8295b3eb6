"""Tests of the wires; a package, so that they share their layers."""
