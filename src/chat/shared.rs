//! Places and links that members share, as questions: what the model is asked and what the history keeps of them.

use crate::model::{event::EventKind, language::Language};

/// Characters of a title or a description that are passed on: both are the site's words, not the member's.
const MOST_CHARS: usize = 500;

/// The question that a shared place or link is; `None` for everything else.
pub fn question(kind: &EventKind, language: Language) -> Option<String> {
    match kind {
        EventKind::Location { latitude, longitude, label, .. } => {
            let label = one_line(label);
            Some(match (language, label.is_empty()) {
                (Language::Chinese, false) => format!("[位置] 我在：{label}（纬度 {latitude}，经度 {longitude}）"),
                (Language::Chinese, true) => format!("[位置] 我在：纬度 {latitude}，经度 {longitude}"),
                (Language::English, false) => {
                    format!("[Location] I am at {label} (latitude {latitude}, longitude {longitude}).")
                }
                (Language::English, true) => format!("[Location] I am at latitude {latitude}, longitude {longitude}."),
            })
        }
        EventKind::Link { title, description, url } => {
            let (title, description) = (one_line(title), one_line(description));
            let (mark, labels, asks) = match language {
                Language::Chinese => ("[链接]", ["标题：", "描述："], "这个链接讲了什么？请概括要点。"),
                Language::English => {
                    ("[Link]", ["Title: ", "Description: "], "What is this link about? Give its main points.")
                }
            };
            let mut question = format!("{mark} {}\n", one_line(url));
            for (label, text) in labels.into_iter().zip([title, description]) {
                if !text.is_empty() {
                    question.push_str(&format!("{label}{text}\n"));
                }
            }
            Some(question + asks)
        }
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
