"""Glue between live secrets and other people's libraries: import the module that you need.

Each module is named after a library, which it needs; strongroom itself imports none of them.
"""
