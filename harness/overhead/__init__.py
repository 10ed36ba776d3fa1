"""What swap metadata costs: raw samples -> structures -> fit -> claim, model and measurement."""
