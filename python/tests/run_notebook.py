"""Runs the code of a notebook in one process, without Jupyter, and prints what its cells print and show.

    python run_notebook.py NOTEBOOK
"""

import ast
import json
import sys
import time


def run(cell: str, name: str, scope: dict) -> None:
    """Runs a cell; shows its last expression as a notebook does."""
    tree = ast.parse(cell, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), scope)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), name, "eval"), scope)
        if value is not None:
            print(value if hasattr(value, "_repr_html_") else repr(value))


def main() -> None:
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        cells = [cell for cell in json.load(file)["cells"] if cell["cell_type"] == "code"]
    if not cells:
        sys.exit(f"{path} has no code")
    scope: dict = {"__name__": "__main__"}
    started = time.monotonic()
    for number, cell in enumerate(cells, 1):
        run("".join(cell["source"]), f"{path}, cell {number}", scope)
    print(f"{path}: {len(cells)} cells in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
