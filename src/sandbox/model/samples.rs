//! Long things that the demo model shows: a table that is too large for a chat, and code that is too long for one.

use std::fmt::Write;

/// A table of sixty rows, and what becomes of it.
pub(super) fn table(chinese: bool) -> String {
    let mut text = match chinese {
        true => "我是**演示模型**，下面是一张编造的表格，一共六十行：\n\n| 编号 | 部门 | 月份 | 预算（元） | 实际（元） |\n",
        false => "I am the **demo model**, and this is an invented table of sixty rows:\n\n| No. | Department | Month | Budget | Actual |\n",
    }
    .to_owned();
    text.push_str("| --- | --- | --- | ---: | ---: |\n");
    let departments = match chinese {
        true => ["研发部", "市场部", "销售部", "客服部", "行政部"],
        false => ["Research", "Marketing", "Sales", "Support", "Office"],
    };
    for row in 0..60_u32 {
        let (department, month) = (departments[row as usize % departments.len()], row / 5 + 1);
        let (budget, actual) = (20_000 + row * 350, 18_500 + row * 7919 % 9000);
        let _ = writeln!(text, "| {} | {department} | {month} | {budget} | {actual} |", row + 1);
    }
    text.push_str(match chinese {
        true => "\n这么长的表格在聊天里不好读，所以它是一个文件，用 Excel 就能打开。接着打开旁边的“捣乱”开关，看看消息会不会丢。",
        false => "\nA table of this length is hard to read in a chat, so it came as a file that Excel opens. Now try the trouble switches \
             beside the phone and see whether a message gets lost.",
    });
    text
}

/// A program of some sixty lines, and what becomes of it.
pub(super) fn code(chinese: bool) -> String {
    let (before, after) = match chinese {
        true => (
            "我是**演示模型**，这段程序是事先写好的：它按部门汇总一张表格。",
            "代码太长，在聊天里会被拆开，所以它是一个文件。接着打开旁边的“捣乱”开关，看看消息会不会丢。",
        ),
        false => (
            "I am the **demo model**, and this program was written beforehand: it sums up a table by department.",
            "Code of this length would be torn apart in a chat, so it came as a file. Now try the trouble switches beside \
             the phone and see whether a message gets lost.",
        ),
    };
    format!("{before}\n\n```python\n{PROGRAM}```\n\n{after}")
}

const PROGRAM: &str = r#"import csv
import sys
from collections import defaultdict
from dataclasses import dataclass


@dataclass
class Sum:
    budget: int = 0
    actual: int = 0
    months: int = 0

    def add(self, budget: int, actual: int) -> None:
        self.budget += budget
        self.actual += actual
        self.months += 1

    @property
    def left(self) -> int:
        return self.budget - self.actual


def read(path: str) -> dict[str, Sum]:
    sums: dict[str, Sum] = defaultdict(Sum)
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for number, department, month, budget, actual in rows:
            sums[department].add(int(budget), int(actual))
    return sums


def show(sums: dict[str, Sum]) -> None:
    width = max(len(name) for name in sums)
    for name, total in sorted(sums.items(), key=lambda item: item[1].left):
        mark = "!" if total.left < 0 else " "
        print(f"{mark} {name:<{width}} {total.budget:>9} {total.actual:>9} {total.left:>9}")


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: sums.py TABLE.csv", file=sys.stderr)
        return 2
    sums = read(sys.argv[1])
    if not sums:
        print("the table is empty", file=sys.stderr)
        return 1
    show(sums)
    return 0


if __name__ == "__main__":
    sys.exit(main())
"#;
