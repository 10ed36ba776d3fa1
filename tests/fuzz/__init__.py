"""Hostile input for every parser of what a guest, a mail or a file of the user supplies."""
