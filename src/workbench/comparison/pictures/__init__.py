"""A comparison as pictures, each described in words."""
