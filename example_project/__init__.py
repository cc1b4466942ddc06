"""The demonstration of the project: a tour that anybody can run and read."""
