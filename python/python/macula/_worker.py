"""The process of a foreign ONNX file. The package runs this script; it is not a module to import."""

if __name__ == "__main__":
    # The script's folder is on the path, so that neither the package nor NumPy is loaded.
    import _macula  # type: ignore[import-not-found]

    _macula.serve_worker()
