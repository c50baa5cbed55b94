"""The report as one interactive HTML file: `report.html` beside report.md, which works offline and asks for nothing."""

from experiments.study.page.content import Content
from experiments.study.page.write import NEEDS, PAGE, can_write, write_page

__all__ = ["NEEDS", "PAGE", "Content", "can_write", "write_page"]
