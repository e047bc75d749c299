"""Regular expressions in queries: found, refused where they are none, and never slow."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable

import pytest

from aimstore.errors import QueryRuntimeError, QuerySyntaxError
from aimstore.query import PythonQuery, QueryLimits


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (r"run.text.matches('lo W')", True),
        (r"run.text.matches('^lo W')", False),
        (r"run.text.matches(r'^Hello \w+$')", True),
        (r"run.text.matches('^\w+\s\w+$')", True),
        (r"run.text.matches('(?i)hello|goodbye')", True),
        (r"run.text.matches('')", True),
        (r"not run.text.matches('x')", True),
        (r"run.hparams.opt.name.matches(run.text)", False),
        (r"run.name.lower().matches('^' + 'first')", True),
        (r"any(tag.matches('^v\d$') for tag in run.tags)", True),
        (r"run.nothing.matches('a')", False),
        (r"run.text.matches(run.nothing)", False),
        (r"run.hparams.lr.matches('0')", False),
        (r"run.matches == None", True),
    ],
)
def test_a_pattern_is_found_anywhere_in_a_string(matches: Callable[..., bool], expression: str, expected: bool) -> None:
    assert matches(expression) is expected


def test_text_that_is_not_ascii_or_not_unicode(matches: Callable[..., bool]) -> None:
    assert matches(r"run.a.matches(r'^n\pLve$')", {"a": "näve"})
    assert matches("run.a.matches('^.$')", {"a": "中"})
    assert matches("run.a.matches('^.x')", {"a": "\ud800x"})


@pytest.mark.parametrize(
    ("expression", "column", "words"),
    [
        ("run.a.matches('(')", 15, "missing ): ("),
        (r"run.a == 1 and run.b.matches(r'(?=a)')", 30, "(?="),
        (r"run.a.matches(r'(a)\1')", 15, "invalid escape sequence"),
        ("run.a.matches('a{2000}')", 15, "repetition"),
        (f"run.a.matches('{'a' * (QueryLimits().pattern_characters + 1)}')", 15, "characters"),
        (r"run.a.matches(r'(\pL{0,20}a){20}')", 15, "too large"),
        ("run.a.matches('\\bword')", 15, "backspace"),
        ("run.a.matches('\\ud800')", 15, "no valid text"),
        ("run.a.matches(5)", 15, "as a string"),
        ("run.a.matches()", 7, "one pattern"),
        ("run.a.matches('a', 'b')", 7, "one pattern"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_place(expression: str, column: int, words: str) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        PythonQuery().compile(expression)
    assert words in caught.value.reason
    assert caught.value.column == column


@pytest.mark.parametrize(
    "expression",
    [
        "re.match('a', run.name)",
        "re.search('a', run.name) != None",
        "search('a', run.name)",
        "run.name.match('a')",
        "run.name.search('a')",
        "run.name =~ 'a'",
        "run.name REGEXP 'a'",
    ],
)
def test_what_other_languages_call_it_is_answered_with_a_hint(expression: str) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        PythonQuery().compile(expression)
    assert "matches(" in caught.value.hint


def test_contains_and_methods_called_as_functions_are_answered_with_a_hint() -> None:
    for expression, words in {"run.name.contains('a')": '"in"', "matches(run.name, 'a')": "run.x.matches("}.items():
        with pytest.raises(QuerySyntaxError) as caught:
            PythonQuery().compile(expression)
        assert words in caught.value.hint


def test_a_backslash_warns_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PythonQuery().compile(r"run.a.matches('^\d+$') and run.b == '\w'")


def test_errors_of_computed_patterns_are_errors_of_the_run(matches: Callable[..., bool]) -> None:
    for value, words in {"(": "missing", 5: "as a string"}.items():
        with pytest.raises(QueryRuntimeError, match=words):
            matches("run.text.matches(run.pattern)", {"text": "a", "pattern": value})


BOMBS = [
    ("run.text.matches('(x+x+)+y')", ("x", 200_000)),
    ("run.text.matches('(a*)*b')", ("a", 1_000_000)),
    ("run.text.matches('((a?b?){300}){3}c')", ("ab", 500_000)),
    ("run.text.matches('.*a.{900}c')", ("ab", 500_000)),
    ("any(run.text.matches(p) for p in run.patterns)", ("a", 1)),
]


def test_no_pattern_takes_more_than_its_share_of_time_and_memory() -> None:
    program = f"""
        import resource
        from aimstore.errors import QueryRuntimeError
        from aimstore.query import PythonQuery, QueryLimitError, RunView

        class Entry:
            hash, properties, metrics = "a" * 24, {{}}, []
            def __init__(self, text, times):
                self.attributes = {{"text": text * times, "patterns": [f"(.{{{{0,500}}}}){{{{1}}}}x{{i}}" for i in range(1000)]}}

        resource.setrlimit(resource.RLIMIT_AS, (1_000_000_000,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        for expression, text in {BOMBS!r}:
            try:
                assert not PythonQuery().compile(expression).matches(RunView(Entry(*text)))
            except QueryRuntimeError as error:
                assert isinstance(error.__cause__, QueryLimitError), error
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_engine_is_loaded_by_the_first_pattern() -> None:
    program = (
        "import sys; from aimstore.query import PythonQuery; PythonQuery().compile('run.a == 1');"
        "assert 're2' not in sys.modules; PythonQuery().compile('run.a.matches(\"x\")'); assert 're2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
