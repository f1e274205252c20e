"""Kernels that are forked from an interpreter which has imported everything."""
