"""The process of a foreign ONNX file. The package runs this script; it is not a module to import."""

if __name__ == "__main__":
    import os
    import sys

    # From the script's folder, so that neither the package nor NumPy is loaded. With PYTHONSAFEPATH it is not on the path.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _macula  # type: ignore[import-not-found]

    _macula.serve_worker()
