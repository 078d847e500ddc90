"""Expressions: Jinja2's syntax over an event or a run, the same each time and of bounded cost.

`compile_expression('event.data.total > 100')` gives an `Expression`,
`compile_template({'to': '${{ vars.email }}'})` a `Template`; both are evaluated over a scope. No
clock, no chance, no input or output; every error is an `ExpressionError`.
"""

from hub.expressions.expression import Expression, compile_expression, unknown_names
from hub.expressions.template import Template, compile_template

__all__ = ["Expression", "Template", "compile_expression", "compile_template", "unknown_names"]
