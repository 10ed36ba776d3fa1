"""What each patch of a series costs: measured patch by patch, drawn as a waterfall."""
