"""End-to-end tests: real kernels, real guests."""
