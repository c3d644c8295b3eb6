"""How fast: scripts that print ratios against named baselines; the ordinary test run only sees that they still run."""
