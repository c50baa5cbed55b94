"""The report as one interactive HTML file: `report.html` beside report.md, which works offline and asks for nothing."""

from experiments.study.page.content import Content
from experiments.study.page.write import PAGE, write_page

__all__ = ["PAGE", "Content", "write_page"]
