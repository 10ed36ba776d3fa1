"""The nightly job: what is new on lists and branches is measured, and its trend is drawn."""
