"""Tests of what can be seen of wires; a package, so that they share their topologies and the dense oracle."""
