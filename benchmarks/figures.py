"""Tables in Markdown, and the page that each is written into."""

from pathlib import Path

README = Path(__file__).parent / "README.md"


def header(*columns: str) -> list[str]:
    """The first two lines of a table.

    >>> header("call", "requests")
    ['| call | requests |', '| --- | --- |']
    """
    return [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]


def write(part: str, text: str, page: Path = README) -> None:
    """Put the text between the part's two marks."""
    begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
