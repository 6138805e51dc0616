"""How the normal distribution of x given theta is factorised: which matrix, and by which kernels."""
