"""What the site does beyond Markdown: the tutorial as a page, links that a code host follows and a site cannot, no foreign script."""

import re
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

import jupytext
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

DOCS = Path(__file__).parents[1]
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:)([^)#\s]+)\)")
ELSEWHERE = "https://unpkg.com/iframe-worker/shim"
VECTOR = re.compile(r" \(Vector: \[SVG\]\(([^)]+)\)\.\)")


def on_files(files: Any, config: Any) -> Any:
    """Adds tutorial.md, made of tutorial.py."""
    text = as_markdown((DOCS / "tutorial.py").read_text(encoding="utf-8"))
    files.append(File.generated(config, "tutorial.md", content=text))
    return files


def as_markdown(source: str) -> str:
    """A script in the percent format as Markdown; a figure that a cell saves stands below the cell."""
    parts = []
    for cell in jupytext.reads(source, fmt="py:percent").cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        parts += [f"![{name}](figures/tutorial/{name})" for name in re.findall(r'savefig\("([\w.]+)"\)', cell.source)]
    return "\n\n".join(parts) + "\n"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """A folder, which a code host lists, is named; a report's vector figure that was left in its run's folder is not."""
    here = dirname(page.file.src_uri)

    def folder(match: re.Match[str]) -> str:
        place = normpath(join(here, match[2]))
        return f"{match[1]} (`docs/{place}`)" if (DOCS / place).is_dir() else match[0]

    def vector(match: re.Match[str]) -> str:
        return match[0] if (DOCS / here / match[1]).exists() else ""

    return LINK.sub(folder, VECTOR.sub(vector, markdown))


def on_post_page(output: str, page: Any, config: Any) -> str:
    """The theme's one script from another machine is replaced by ours."""
    return output.replace(ELSEWHERE, get_relative_url("site/worker.js", page.url))


def on_post_template(output: str, template_name: str, config: Any) -> str:
    """The same where a page is none of ours: 404.html."""
    return output.replace(ELSEWHERE, "/site/worker.js")
