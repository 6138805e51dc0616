"""Data in partitions: files of a folder or a Dask frame, each read and kept where it lies."""
