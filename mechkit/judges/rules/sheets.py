"""Rules on tables: cells that a spreadsheet takes for formulas."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling
from mechkit.judges.rules.evidence import arguments_of, last_of, literal_text, weight
from mechkit.judges.scope import Scope
from mechkit.judges.values import Origin

MAKES_TABLES = re.compile(
    r"\bcsv\b|openpyxl|xlsxwriter|xlwt|pandas|\.csv\b|text/csv|gspread|tablib|pyexcel|polars|odf|google.*sheet|to_csv|to_excel",
    re.IGNORECASE,
)
NEUTRAL = re.compile(
    r"['\"][=+@\-\\tr|]{3,}|['\"]=['\"]|\(\s*['\"]=['\"],|\[=\+|\[=@|\^\[=|=\+-@|\\t['\"]\s*\+|\"'\"\s*\+|f\"'\{|\"'\" *\+|strings_to_formulas|write_string|data_type\s*=|sanitize|escape|defang|neutral|value_input_option=['\"]RAW|quotePrefix|lstrip\(['\"][=+@-]+|\"RAW\"|'RAW'|number_format"
)
WRITERS = [
    "writerow",
    "writerows",
    "append",
    "append_row",
    "append_rows",
    "cell",
    "write",
    "to_csv",
    "to_excel",
    "write_row",
    "write_column",
    "update",
    "write_cell",
    "update_cell",
]


@calling(*WRITERS)
def formulas(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Text of others in a cell as it came."""
    name = scope.name(call.func)
    last = last_of(name)
    if not scope.says(MAKES_TABLES) or scope.says(NEUTRAL):
        return
    maker = scope.value(call.func.value).maker if isinstance(call.func, ast.Attribute) else ""
    if last in ("append", "cell", "write", "update", "write_row", "write_column"):
        sheet = re.search(
            r"sheet|\bws\b|workbook|active|tab\b|page\b|ledger\b|book\b", f"{name} {maker}", re.IGNORECASE
        )
        joined = (
            last == "write" and re.search(r"['\"][,;]['\"]\.join|,\{|\},", ast.unparse(call)) and scope.says(r"(?i)csv")
        )
        if not (sheet or joined):
            return
    elif last.startswith("writerow") and not re.search(r"csv|[Ww]riter", f"{name} {maker} {scope.module_text}"):
        return
    elif last in ("to_csv", "to_excel") and isinstance(call.func, ast.Attribute):
        made = scope.written(call.func.value)
        held = scope.value(made.args[0] if isinstance(made, ast.Call) and made.args else call.func.value)
        if (severity := weight(held, "choice", scope, 60, 55)) is not None:
            yield Hit("csv_formula", call.lineno, severity)
        return
    value = argument(call, -1, "value")
    for part in [value] if value is not None else list(arguments_of(call)):
        if isinstance(part, ast.Constant) or literal_text(part):
            continue
        held = scope.value(part)
        severity = weight(held, "choice", scope, 60, 55)
        if severity is None and held.origin == Origin.UNKNOWN and scope.handler and held.text != "":
            severity = 55 if scope.says(r"text/csv|attachment|\.csv") else None
        if severity is not None:
            yield Hit("csv_formula", call.lineno, severity)
            return
