"""Pure mathematics on arrays: sparse Cholesky kernels and transforms. Knows nothing of models."""
