"""Pure mathematics on arrays: sparse Cholesky kernels and transforms. It does not know about models."""
