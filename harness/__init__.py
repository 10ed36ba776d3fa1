"""Evaluation harness for Linux kernel patches that change swapping."""

__version__ = "0.1.0"
