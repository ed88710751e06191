"""Small faults in a C++ source, found by its text: it relies on the house's formatting, not on a parser.

Comments, literals of text, preprocessor lines and static_asserts are left alone, and so are statements that only log.
What comes out need not compile.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Mutant:
    file: str  # below the root
    at: int  # offset
    line: int
    column: int
    kind: str  # relation, condition, logic, constant, arithmetic or statement
    old: str
    new: str

    def __str__(self) -> str:
        shown = [" ".join(text.split()) or "(nothing)" for text in (self.old, self.new)]
        return f"{self.file}:{self.line}:{self.column} {self.kind}: {shown[0]} -> {shown[1]}"

    def apply(self, text: str) -> str:
        return text[:self.at] + self.new + text[self.at + len(self.old):]


HIDDEN = re.compile(r"""
      //[^\n]* | /\*.*?\*/                                    # comments
    | R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"                      # literals
    | "(?:\\.|[^"\\\n])*" | (?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'
    | ^[ ]*\#(?:\\\n|[^\n])*                                  # the preprocessor's
    | \b(?:static_assert|assert)\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)
    | \[\[[^\]]*\]\]
    | ^[ ]*(?:using|namespace|friend|template)\b[^\n]*
""", re.VERBOSE | re.DOTALL | re.MULTILINE)

TURNED = {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",)}
SWAPPED = {"&&": "||", "||": "&&"}
COUNTED = {"+": "-", "-": "+", "+=": "-=", "-=": "+=", "++": "--", "--": "++", "min": "max", "max": "min"}

RELATION = re.compile(r"(?<=\s)(<=|>=|==|!=|<|>)(?=\s)")
LOGIC = re.compile(r"(?<=\s)(&&|\|\|)(?=\s)")
NEGATION = re.compile(r"(?<![\w)\]])!(?=[\w(:*])")
ARITHMETIC = re.compile(r"(?<=[\w)\]] )(\+=|-=|\+|-)(?= )|(\+\+|--)(?=[\w(*])|(?<=\w)(\+\+|--)|(?<=std::)(min|max)(?=\()")
NUMBER = re.compile(r"(?<![\w.])(?:0x[0-9a-fA-F']+|\d[\d']*)(?=[uUlL]*\b|(?:s|ms|us|ns|min|h)\b)(?!\.)")
TRUTH = re.compile(r"\b(true|false)\b")
CONDITION = re.compile(r"\b(if|while) \(")
LOGS = re.compile(r"\b(?:log_?|[\w()]+(?:\.|->)(?:log|trace|debug|info|warn))\(")
DECLARES = re.compile(r"^(?:return|throw|delete|goto|case|default|else|typedef|struct|class|enum|explicit|virtual|static|extern"
                      r"|constexpr|const|auto|co_return|if|while)\b|^[\w:]+(?:<.*?>)?[\s*&]+(?:const )?(?!=)[*&]?\w+\s*(?:=|\{|\(|;|\[|,)|= (?:delete|default|0);$")
LEFT_OUT = re.compile(r"^(?:break;|continue;|return;|(?:\+\+|--)?[\w:(*\[].*;)$", re.DOTALL)


def closing(code: str, at: int) -> int:
    """Behind the bracket that closes the one at `at`; -1 where none does."""
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] in "([{") - (code[i] in ")]}")
        if depth == 0:
            return i + 1
    return -1


def bare(text: str) -> str:
    """The text with blanks where nothing is to be changed; offsets stay."""
    code = HIDDEN.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    for found in LOGS.finditer(code):
        end = closing(code, found.end() - 1)
        if end != -1:
            code = code[:found.start()] + re.sub(r"[^\n]", " ", code[found.start():end]) + code[end:]
    return code


def statements(code: str):
    """(begin, end) of those that stand on lines of their own, without blocks."""
    for found in re.finditer(r"(?:[;{}]|(?:^|\n)[^\n]*:)\s*\n\s*(?=[\w+\-(*:])", code):
        begin = end = found.end()
        while end < len(code) and code[end] not in ";{}":
            end = closing(code, end) if code[end] in "([" else end + 1
            if end == -1:
                break
        if 0 < end < len(code) and code[end] == ";":
            yield begin, end + 1


def find(file: str, text: str) -> list[Mutant]:
    """Every mutant of a file, in the order of their places."""
    code = bare(text)
    out = []

    def add(at: int, end: int, kind: str, new: str) -> None:
        line = text.count("\n", 0, at) + 1
        column = at - (text.rfind("\n", 0, at) + 1) + 1
        out.append(Mutant(file, at, line, column, kind, text[at:end], new))

    for found in RELATION.finditer(code):
        for new in TURNED[found[0]]:
            add(*found.span(), "relation", new)
    for found in LOGIC.finditer(code):
        add(*found.span(), "logic", SWAPPED[found[0]])
    for found in NEGATION.finditer(code):
        add(*found.span(), "logic", "")
    for found in ARITHMETIC.finditer(code):
        add(*found.span(), "arithmetic", COUNTED[found[0]])
    for found in NUMBER.finditer(code):
        if not re.match(r"0\d", found[0]):  # octal: a file's mode
            add(*found.span(), "constant", str(int(found[0].replace("'", ""), 0) + 1))
    for found in TRUTH.finditer(code):
        add(*found.span(), "constant", "false" if found[0] == "true" else "true")
    for found in CONDITION.finditer(code):
        begin, end = found.end(), closing(code, found.end() - 1) - 1
        inside = code[begin:end]
        if end > 0 and ";" not in inside and not re.search(r"(?<![=!<>])=(?!=)", inside) and inside.strip() != "true":
            add(begin, end, "condition", "false")
            if found[1] == "if":  # a loop without an end is seen, but it takes the longest
                add(begin, end, "condition", "true")
    for begin, end in statements(code):
        statement = code[begin:end].strip()
        if LEFT_OUT.match(statement) and not DECLARES.search(statement):
            add(begin, end, "statement", ";")
    return sorted(set(out), key=lambda mutant: (mutant.at, mutant.kind, mutant.new))
