"""The figures in ``benchmarks/README.md``: each command writes its own part."""

from pathlib import Path

README = Path(__file__).parent / "README.md"


def write(part: str, text: str) -> None:
    """Put the text between the part's two marks."""
    begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    before, _, rest = README.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    README.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
