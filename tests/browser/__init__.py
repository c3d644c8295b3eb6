"""Tests that open notebooks in a real JupyterLab in a real Chromium; a package, so that browser and server end with it."""
