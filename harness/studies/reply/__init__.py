"""The draft of a mail that answers a series with its measurements.

It sends nothing and measures nothing: it reads sealed results.
"""
