"""How the cells of the pages show warnings and errors: by class and message, without the path of a file."""

import warnings

from IPython.core.getipython import get_ipython

shell = get_ipython()
shell.run_line_magic("xmode", "Minimal")
shell.run_line_magic("colors", "NoColor")
warnings.formatwarning = lambda message, category, *_: f"{category.__name__}: {message}\n"
del shell
