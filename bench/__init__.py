"""How fast strongroom is, beside what it cannot beat and beside what people use instead.

`python -m bench` measures everything in one run and writes a table. Contenders take turns in many short rounds, so
that the noise of a shared machine meets all of them; compare the ratios, not the times of two runs.
"""
