"""Rego text from OPA's own syntax tree, so that mutants change the tree and not the text.

It prints only what the rule sets use; anything else is an error. Before any mutant is made, OPA reads the printed text
of the unchanged tree: the result must be the same tree.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

INFIX: Final = {
    "and": "&",
    "assign": ":=",
    "div": "/",
    "eq": "=",
    "equal": "==",
    "gt": ">",
    "gte": ">=",
    "internal.member_2": "in",
    "lt": "<",
    "lte": "<=",
    "minus": "-",
    "mul": "*",
    "neq": "!=",
    "or": "|",
    "plus": "+",
    "rem": "%",
}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS: Final = frozenset(
    ("as", "contains", "default", "else", "every", "false", "if", "import", "in", "not", "null", "package", "some")
) | {"true", "with"}
_INDENT: Final = "    "


def module_text(module: dict[str, Any]) -> str:
    """Return a module's Rego, without comments and metadata."""
    package = ".".join(part["value"] for part in module["package"]["path"][1:])
    imports = [f"import {term_text(one['path'])}" for one in module.get("imports", ())]
    return "\n\n".join([f"package {package}", *imports, *map(rule_text, module["rules"])]) + "\n"


def rule_text(rule: dict[str, Any]) -> str:
    """Return one rule with all its `else` branches."""
    text = "default " if rule.get("default") else ""
    text += _head(rule["head"]) + _if(rule)
    while "else" in rule:
        rule = rule["else"]
        text += f" else := {term_text(rule['head']['value'])}" + _if(rule)
    return text


def rule_name(rule: dict[str, Any]) -> str:
    """Return the name of a rule."""
    name: str = rule["head"]["ref"][0]["value"]
    return name


def _head(head: dict[str, Any]) -> str:
    keys = [head["key"]] if "key" in head else []
    if head["ref"][1:] != keys:
        raise NotImplementedError(f"a rule head that no rule set has: {head}")
    text: str = head["ref"][0]["value"] + "".join(f"[{term_text(key)}]" for key in keys)
    if "args" in head:
        text += "(" + ", ".join(map(term_text, head["args"])) + ")"
    return f"{text} := {term_text(head['value'])}" if head.get("assign") else text


def _if(rule: dict[str, Any]) -> str:
    if rule.get("default") or (is_always(rule["body"]) and rule["head"].get("assign")):
        return ""
    return " if {\n" + _body(rule["body"]) + "\n}"


def is_always(body: list[dict[str, Any]]) -> bool:
    """Return whether the body is the default that OPA adds to a rule without a body."""
    return len(body) == 1 and body[0]["terms"] == {"type": "boolean", "value": True}


def _body(body: Iterable[dict[str, Any]]) -> str:
    return "\n".join(_indented(expression_text(one)) for one in body)


def _indented(text: str) -> str:
    return "\n".join(_INDENT + line for line in text.split("\n"))


def expression_text(expression: dict[str, Any]) -> str:
    """Return one expression of a body; a comprehension in it may take several lines."""
    if "with" in expression:
        raise NotImplementedError("`with` stands in tests only")
    terms = expression["terms"]
    text = "not " if expression.get("negated") else ""
    if isinstance(terms, list):
        return text + _call(terms, outermost=True)
    if "symbols" in terms:
        (symbol,) = terms["symbols"]
        return text + "some " + _members(symbol)
    if "domain" in terms:
        names = [term_text(terms[name]) for name in ("key", "value") if terms[name] is not None]
        return f"every {', '.join(names)} in {term_text(terms['domain'])} {{\n{_body(terms['body'])}\n}}"
    return text + term_text(terms)


def _members(symbol: dict[str, Any]) -> str:
    if symbol["type"] != "call":
        return term_text(symbol)
    *names, collection = symbol["value"][1:]
    return ", ".join(map(term_text, names)) + " in " + term_text(collection)


def operator(term: dict[str, Any]) -> str:
    """Return the name of the called function, such as `equal` or `object.get`."""
    return ".".join(str(part["value"]) for part in term["value"])


def _call(terms: list[dict[str, Any]], *, outermost: bool = False) -> str:
    name, arguments = operator(terms[0]), terms[1:]
    if name in INFIX:
        one, other = arguments
        text = f"{term_text(one)} {INFIX[name]} {term_text(other)}"
        return text if outermost else f"({text})"
    return f"{name}({', '.join(map(term_text, arguments))})"


def term_text(term: dict[str, Any]) -> str:
    """Return the text of a term."""
    kind, value = term["type"], term["value"]
    if kind in ("string", "boolean", "number"):
        return json.dumps(value, ensure_ascii=False)
    if kind == "null":
        return "null"
    if kind == "var":
        return "_" if value.startswith("$") else value
    if kind == "ref":
        return term_text(value[0]) + "".join(map(_step, value[1:]))
    if kind == "call":
        return _call(value)
    if kind == "array":
        return "[" + ", ".join(map(term_text, value)) + "]"
    if kind == "set":
        return "{" + ", ".join(map(term_text, value)) + "}" if value else "set()"
    if kind == "object":
        return "{" + ", ".join(f"{term_text(name)}: {term_text(held)}" for name, held in value) + "}"
    if kind == "arraycomprehension":
        return _comprehension("[", term_text(value["term"]), value["body"], "]")
    if kind == "setcomprehension":
        return _comprehension("{", term_text(value["term"]), value["body"], "}")
    if kind == "objectcomprehension":
        return _comprehension("{", f"{term_text(value['key'])}: {term_text(value['value'])}", value["body"], "}")
    raise NotImplementedError(f"a term that no rule set has: {kind}")


def _comprehension(opening: str, head: str, body: list[dict[str, Any]], closing: str) -> str:
    return f"{opening}{head} |\n{_body(body)}\n{closing}"


def _step(part: dict[str, Any]) -> str:
    if part["type"] == "string" and _NAME.fullmatch(part["value"]) and part["value"] not in _KEYWORDS:
        return "." + part["value"]
    return f"[{term_text(part)}]"


def bare(tree: Any) -> Any:
    """Return the tree without what depends on the layout of the text: places, comments, numbers of expressions."""
    if isinstance(tree, dict):
        left_out = ("location", "comments", "annotations", "index")
        return {name: bare(value) for name, value in tree.items() if name not in left_out}
    return [bare(value) for value in tree] if isinstance(tree, list) else tree
