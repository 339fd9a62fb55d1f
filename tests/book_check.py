"""Checks the book as mdBook rendered it: every link leads to a file and an anchor of the book, and no page loads anything
from elsewhere.

    python3 tests/book_check.py target/book
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Attributes that load what they name, by element; of others a reader follows the link.
LOADED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src", "object": "data"}


class Page(HTMLParser):
    """Anchors and links of a page."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors.update(value for name, value in attributes if name in ("id", "name") and value)
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        elif tag in LOADED and values.get(LOADED[tag]):
            self.loads.append(values[LOADED[tag]])


def main():
    book = Path(sys.argv[1]).resolve()
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(book.rglob("*.html"))}
    faults, links = [], 0
    for path, page in pages.items():
        # Reports of runs are files of their own, not pages.
        name = path.relative_to(book)
        for link in page.loads + page.links:
            parts = urlsplit(link)
            if parts.scheme == "data" or link.startswith("javascript:"):
                continue
            if parts.scheme or parts.netloc:
                if link in page.loads:
                    faults.append(f"{name} loads {link}")
                continue
            links += 1
            # The page for missing files is shown at any depth.
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if name.name != "404.html" and not target.exists():
                faults.append(f"{name}: there is no {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                faults.append(f"{name}: {link} names no anchor")
    if len(pages) < 30 or links < 1000:
        faults.append(f"only {len(pages)} pages with {links} links were found in {book}")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(pages)} pages, {links} links")


if __name__ == "__main__":
    main()
