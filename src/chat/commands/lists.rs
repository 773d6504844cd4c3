//! Lists and figures in what is said to commands.

use crate::{
    chat::texts::grouped, clock::zone::Local, config::persona::Persona, model::fact::Fact, store::usage::Used,
};

/// How much of a question the history shows, in characters.
const QUESTION: usize = 40;

pub(super) fn blocked_list(blocked: &[(Local, String, String)], colon: &str) -> String {
    let line = |(at, member, reason): &(Local, String, String)| {
        let reason = if reason.is_empty() { String::new() } else { format!("{colon}{reason}") };
        format!("{at} {member}{reason}")
    };
    blocked.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Numbered lines: name, description, and whether it is the current one.
pub(super) fn list<'a>(items: impl Iterator<Item = (&'a str, &'a str, bool)>, mark: &str) -> String {
    let line = |(number, (name, description, current)): (usize, (&str, &str, bool))| {
        let mark = if current { mark } else { "" };
        let dash = if description.is_empty() { "" } else { " – " };
        format!("{}. {name}{mark}{dash}{description}", number + 1)
    };
    items.enumerate().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn of_personas<'a>(
    personas: &'a [Persona],
    current: Option<&'a str>,
) -> impl Iterator<Item = (&'a str, &'a str, bool)> {
    personas.iter().map(move |one| (&*one.name, one.description.as_str(), Some(&*one.name) == current))
}

pub(super) fn facts_list(facts: &[Fact]) -> String {
    list(facts.iter().map(|fact| (fact.text.as_str(), "", false)), "")
}

pub(super) fn history(asked: &[(Local, String)]) -> String {
    let line = |(at, question): &(Local, String)| {
        let question = question.split_whitespace().collect::<Vec<_>>().join(" ");
        let cut = question.char_indices().nth(QUESTION).map(|(end, _)| format!("{}…", &question[..end]));
        format!("{at} {}", cut.unwrap_or(question))
    };
    asked.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn chinese_used(used: Used) -> String {
    format!("{} 个问题，输入 {} token，输出 {} token", used.questions, grouped(used.input), grouped(used.output))
}

pub(super) fn english_used(used: Used) -> String {
    let questions = if used.questions == 1 { "question" } else { "questions" };
    format!("{} {questions}, {} tokens in, {} out", used.questions, grouped(used.input), grouped(used.output))
}
