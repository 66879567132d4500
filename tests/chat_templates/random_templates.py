# SPDX-License-Identifier: BSD-3-Clause
"""Chat templates made at random, of the statements, filters, tests, methods and operators that real
ones use, with white space of all kinds around tags."""

NAMES = "words nums d people e es ed nothing messages tools bos_token q documents".split()
SETUP = (
    "{%- set ns = namespace(v=1) %}{%- set words = ['pear', 'Apple', 'fig', 'é'] %}"
    "{%- set nums = [3, 1, 2] %}{%- set d = {'b': 2, 'a': 1, 'C': [3]} %}{%- set e = [] %}"
    "{%- set people = [{'n': 'Ann', 'age': 30}, {'n': 'bob'}] %}"
    "{%- set es = '' %}{%- set ed = {} %}"
    "{%- macro f(x, a=1) %}<{{ x }}{% if caller %}{{ caller() }}{% endif %}>{% endmacro -%}\n"
)
LITERALS = (
    "1|0|-3|2.5|'a'|'Bc d'|''|none|true|false|[]|[1, 2]|['b', 'a']|(1,)|{}|{'k': 1}|'a,b,,c'|"
    "'  x '|'12'"
).split("|")
FILTERS = (
    "abs;capitalize;count;d(5);default('q', true);dictsort;e;first;float;groupby('n');indent;"
    "indent(2, true);int;int(3);items;join;join(',');join('-', 'n');last;length;list;lower;"
    "map('upper')|list;map('string')|join;map(attribute='n')|list;max;min;reject('none')|list;"
    "rejectattr('age')|list;replace('a', 'b');reverse|list;round;select|list;select('string')|list;"
    "selectattr('n')|list;selectattr('role', 'in', ['user'])|list;sort;sort(attribute='n');"
    "string;sum;title;tojson;tojson(indent=2);trim;unique|list;upper;list|tojson"
).split(";")
TESTS = (
    "defined;undefined;none;boolean;true;false;integer;float;number;string;mapping;sequence;"
    "iterable;callable;lower;upper;odd;divisibleby 2;in [1, 'a', none];eq 1;not none;not string"
).split(";")
METHODS = (
    "upper();lower();strip();lstrip('a ');rstrip();split();split(',');split(',', 1);rsplit(' ', 1);"
    "replace('a', 'b');title();capitalize();items();keys()|list;values()|list;get('k');get('b', 3);"
    "startswith('a');endswith(('c', 'd'));find('a');count('a');index(1);join(['x', 'y']);"
    "splitlines();isdigit();zfill(4);format(1, 2);partition(',');append(1);nosuch();"
    "removeprefix('a')"
).split(";")
OPERATORS = "+ - * / // % ~ == != < > <= >= in and or **".split() + ["not in"]
ITEMS = "0 -1 1: ::-1 :2 ::2 -2: 'b' 'items' 'n' 1:9:3 none :-1".split()
MEMBERS = "b n items k role x upper age content".split()
SPACE = ["", "\n", " ", "  ", "\n  ", "\t", "\r\n", " \n\n ", "x", "y\n", "\u00a0"]
SOURCES = ["nums", "d.items()", "words", "people", "messages", "d|dictsort", "range(3)", "d"]


class Maker:
    def __init__(self, source):
        self.r = source

    def one(self, choices):
        return self.r.choice(choices)

    def expression(self, depth):
        if depth <= 0:
            return self.one(NAMES) if self.r.random() < 0.5 else self.one(LITERALS)
        inner, other = self.expression(depth - 1), self.expression(depth - 2)
        return self.one(
            [
                f"({inner})|{self.one(FILTERS)}",
                f"{inner}|{self.one(FILTERS)}",
                f"({inner}) is {self.one(TESTS)}",
                f"({inner}).{self.one(METHODS)}",
                f"{inner} {self.one(OPERATORS)} {other}",
                f"not {inner}",
                f"-{other}",
                f"({inner})[{self.one(ITEMS)}]",
                f"({inner}).{self.one(MEMBERS)}",
                f"({inner} if {other} else {other})",
                f"({inner} if {other})",
                f"[{inner}, {other}]",
                "{'k': %s, 'b': %s}" % (inner, other),
            ]
        )

    def space(self):
        return "".join(self.one(SPACE) for _ in range(self.r.randint(0, 3)))

    def tag(self, text):
        signs = ["", "", "", "-", "+"]
        return "{%" + self.one(signs) + " " + text + " " + self.one(signs) + "%}"

    def output(self):
        start, end = self.one(["", "-"]), self.one(["", "-"])
        return "{{%s %s %s}}" % (start, self.expression(self.r.randint(0, 2)), end)

    def block(self, depth):
        parts = "".join(self.statement(depth) for _ in range(self.r.randint(0, 3)))
        return parts + self.space()

    def loop(self, depth):
        target = self.one(["x", "x", "a, b"])
        wanted = " if " + self.one(["x", "loop.first", "x is string"])
        wanted = wanted if self.r.random() < 0.3 else ""
        shown = self.one(["loop.index", "x", "loop.last", "loop.length", "a", "loop.nextitem"])
        leave = self.tag("if " + self.expression(1)) + self.tag(self.one(["break", "continue"]))
        leave = leave + self.tag("endif") if self.r.random() < 0.3 else ""
        body = self.block(depth - 1) + "{{ " + shown + " }}" + leave + self.block(depth - 2)
        otherwise = self.tag("else") + self.block(depth - 1) if self.r.random() < 0.3 else ""
        head = self.tag(f"for {target} in {self.one(SOURCES)}{wanted}")
        return head + body + otherwise + self.tag("endfor")

    def statement(self, depth):
        if depth <= 0 or self.r.random() < 0.25:
            return self.space() + self.output() + self.space()
        kind, inside = self.r.randrange(9), self.block(depth - 1)
        if kind == 0:
            otherwise = self.tag("else") + self.block(depth - 1) if self.r.random() < 0.5 else ""
            return self.tag("if " + self.expression(2)) + inside + otherwise + self.tag("endif")
        if kind in (1, 2):
            return self.space() + self.loop(depth)
        if kind == 3:
            name = self.one(["x", "a", "q", "ns.v", "x, a"])
            return self.tag(f"set {name} = {self.expression(2)}") + self.space()
        if kind == 4:
            head = self.tag("set q" + self.one(["", " | trim"]))
            return head + inside + self.tag("endset") + "{{ q }}"
        if kind == 5:
            call = self.one(["", "1", "1, 2", "x=2", "a=3"])
            head = self.tag("macro f(x, a=1)")
            return head + inside + self.tag("endmacro") + "{{ f(%s) }}" % call
        if kind == 6:
            return self.tag("call f(1)") + inside + self.tag("endcall")
        if kind == 7:
            return self.tag("filter upper") + inside + self.tag("endfilter")
        return "{#" + self.one(["", "-"]) + " c " + self.one(["", "-", "+"]) + "#}" + self.space()


def random_template(source):
    return SETUP + Maker(source).block(3)
