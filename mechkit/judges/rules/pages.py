"""Rules on pages whose markup or frame lets the tags of others through."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, calling, on
from mechkit.judges.rules.evidence import weight
from mechkit.judges.scope import Scope
from mechkit.judges.values import Origin


@calling("markdown", "markdown2", "convert", "render_markdown", "mistune", "html")
def rendered_markup(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Markdown of others turned into HTML, which keeps their tags."""
    name = scope.name(call.func)
    if (
        re.search(r"markdown|mistune", name)
        and call.args
        and not scope.says(r"bleach|nh3|sanitiz|safe_mode|escape=True|html.escape")
    ):
        if (severity := weight(scope.value(call.args[0]), "html", scope, 85, 60)) is not None:
            yield Hit("cross_site_scripting", call.lineno, severity)


@on(ast.BinOp, ast.JoinedStr)
def data_in_scripts(node: ast.expr, scope: Scope) -> Iterator[Hit]:
    """JSON inside a script element: `</script>` in it ends the element."""
    value = scope.value(node)
    if re.search(r"<script[^>]*>(?![^<]*</script>)", value.text) and re.search(r"dumps\(", ast.unparse(node)[:2000]):
        if not scope.mentions(r"replace\(|escape|\\\\u003c"):
            yield Hit("cross_site_scripting", getattr(node, "lineno", 1))


@calling("write", "finish")
def echoed_text(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Tornado answers with HTML unless told otherwise."""
    if scope.name(call.func) in ("self.write", "self.finish") and scope.says("tornado") and call.args:
        value = scope.value(call.args[0])
        if value.built and value.reaches("html", Origin.USER) and not isinstance(call.args[0], ast.Dict):
            if not scope.mentions(r"Content-Type"):
                yield Hit("cross_site_scripting", call.lineno)
