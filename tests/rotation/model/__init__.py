"""A model of rotation: what the source, the consumers and the operator do, each in a file of its own."""
