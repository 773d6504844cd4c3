//! A report for people: one line for each finding, and under a bad one why, how and where.

use std::fmt::Write as _;

use super::finding::{Finding, Report, Status, pick};
use crate::config::chat::Language;

/// Where `found` begins: behind the longest label.
const LABEL_WIDTH: usize = 17;
/// So many skipped in a row for the same reason are one line.
const SKIPPED_TOGETHER: usize = 4;

/// How the text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// For a terminal.
    Coloured,
    /// For a pipe or a log.
    Plain,
}

impl Report {
    /// The report as text, with a line that counts at the end.
    pub fn render(&self, look: Look) -> String {
        let language = self.language;
        let mut text = String::new();
        let mut rest = self.findings.as_slice();
        while let Some(finding) = rest.first() {
            let alike = |other: &&Finding| other.status == Status::Skipped && other.found == finding.found;
            let together = rest.iter().take_while(alike).count();
            let label = finding.id.label(language);
            if together >= SKIPPED_TOGETHER {
                let label =
                    pick(language, format!("{label} 等 {together} 项"), format!("{label} and {} more", together - 1));
                line(&mut text, look, Status::Skipped, &label, &finding.found);
                rest = &rest[together..];
                continue;
            }
            line(&mut text, look, finding.status, label, &finding.found);
            for (name, value) in [
                (pick(language, "原因", "why"), &finding.cause),
                (pick(language, "办法", "do"), &finding.remedy),
                (pick(language, "位置", "where"), &finding.place),
            ] {
                if !value.is_empty() {
                    let _ = writeln!(
                        text,
                        "{:indent$}{name}{:gap$}{value}",
                        "",
                        "",
                        indent = LABEL_WIDTH + 2,
                        gap = 7 - width(name)
                    );
                }
            }
            rest = &rest[1..];
        }
        let _ = writeln!(text, "\n{}", self.summary());
        text
    }

    /// How many of what, in one line.
    pub fn summary(&self) -> String {
        let (problems, advice) = (self.count(Status::Problem), self.count(Status::Advice));
        let skipped = self.count(Status::Skipped);
        let mut parts = match self.language {
            Language::Chinese if problems == 0 => vec!["没有发现问题".to_owned()],
            Language::Chinese => vec![format!("{problems} 个问题")],
            Language::English if problems == 0 => vec!["no problems found".to_owned()],
            Language::English => vec![format!("{problems} problem{}", if problems == 1 { "" } else { "s" })],
        };
        if advice > 0 {
            parts.push(pick(self.language, format!("{advice} 条提醒"), format!("{advice} to know")));
        }
        if skipped > 0 {
            parts.push(pick(self.language, format!("{skipped} 项跳过"), format!("{skipped} skipped")));
        }
        parts.join(pick(self.language, "，", ", "))
    }
}

fn line(text: &mut String, look: Look, status: Status, label: &str, found: &str) {
    let (mark, colour) = match status {
        Status::Ok => ("✓", "32"),
        Status::Advice => ("!", "33"),
        Status::Problem => ("✗", "31"),
        Status::Skipped => ("–", "2"),
    };
    let gap = LABEL_WIDTH.saturating_sub(width(label)).max(1);
    let _ = match (look, status) {
        (Look::Plain, _) => writeln!(text, "{mark} {label}{:gap$}{found}", ""),
        (Look::Coloured, Status::Skipped) => {
            writeln!(text, "\u{1b}[{colour}m{mark} {label}{:gap$}{found}\u{1b}[0m", "")
        }
        (Look::Coloured, _) => writeln!(text, "\u{1b}[{colour}m{mark}\u{1b}[0m {label}{:gap$}{found}", ""),
    };
}

/// Columns that our own labels take: a Chinese character takes two.
fn width(label: &str) -> usize {
    label.chars().map(|c| if c >= '\u{2E80}' { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Check, *};

    #[test]
    fn every_label_leaves_a_gap() {
        for check in Check::ALL {
            for language in [Language::Chinese, Language::English] {
                assert!(width(check.label(language)) < LABEL_WIDTH, "{check:?}");
            }
        }
    }
}
