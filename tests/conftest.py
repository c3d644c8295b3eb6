"""What every test stands on: numbers are the CPU's, and every notebook is a test."""
import os

os.environ.setdefault("NBKIT_DEVICE", "cpu")
