//! What of a conversation a model is shown: the newest whole exchanges that fit into the token budget.

use super::album::{PICTURE_TOKENS, Shown};
use crate::{
    llm::{
        client::Message,
        tokens::{self, MESSAGE_OVERHEAD, TokenCounter},
    },
    model::{conversation::Exchange, media::MediaId},
};

/// What the model is asked, and about how many tokens that is.
#[derive(Debug)]
pub struct Prompt {
    /// The messages.
    pub messages: Vec<Message>,
    /// An estimate of their tokens.
    pub tokens: usize,
}

/// What a prompt is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// What the model is told first; empty for nothing.
    pub system: &'a str,
    /// The conversation so far, oldest first.
    pub exchanges: &'a [Exchange],
    /// What the member asks now.
    pub question: &'a str,
    /// The pictures that belong to it.
    pub pictures: &'a [MediaId],
    /// Those pictures that can be shown, of the question and of the conversation.
    pub shown: &'a Shown<'a>,
    /// The part of the answer that the member has already; empty for a fresh answer.
    pub answer_so_far: &'a str,
}

/// Stands for the question of a picture that came without one.
const WORDLESS: &str = "（用户只发来了图片，没有附文字。请简要说明图片里有什么，再问一句想让你做什么。）\n\
    (The member sent this without a word. Say briefly what it shows, and ask what you can do with it.)";

/// Asks for the rest of an answer that a restart or a limit of its length cut off.
const GO_ON: &str = "你的上一条回答在中途断开了，用户已经看到了断开之前的全部内容。请从断开处直接接着写完，\
    哪怕断在一句话、一个表格或一段代码的中间；不要重复已经写过的内容，不要重新打开代码块或表格，也不要提到中断。\n\
    (Your last answer was cut off. Go on exactly where it stopped, be it in the middle of a sentence, a table or code; \
    repeat nothing and do not mention the break.)";

/// Puts the prompt together within `budget` tokens. The system prompt and the question always stay, even if they alone
/// exceed it: the upstream then says so, which is more honest than a question cut in half. Exchanges go whole, the
/// oldest first.
pub fn prompt(parts: Parts<'_>, budget: usize, counter: &TokenCounter) -> Prompt {
    let Parts { system, exchanges, question, pictures, shown: album, answer_so_far } = parts;
    let seen = |ids: &[MediaId]| if ids.is_empty() { 0 } else { album.of(ids).0.len() * PICTURE_TOKENS };
    let mut tail = vec![match (question, pictures) {
        ("", [_, ..]) => asked(WORDLESS, pictures, album),
        _ => asked(question, pictures, album),
    }];
    if !answer_so_far.is_empty() {
        tail.push(Message::assistant(answer_so_far));
        tail.push(Message::user(GO_ON));
    }
    let fixed: Vec<&str> = std::iter::once(system).chain(tail.iter().map(|message| message.content.as_str())).collect();
    let all: Vec<&str> = fixed.iter().copied().chain(exchanges.iter().flat_map(texts_of)).collect();
    let seen_now = seen(pictures);
    let seen_before: usize = exchanges.iter().map(|exchange| seen(&exchange.pictures)).sum();
    let shown = match budget.checked_sub(seen_now + seen_before) {
        Some(left) if counter.fits(&all, left) => exchanges,
        _ => newest(&fixed, exchanges, budget.saturating_sub(seen_now), counter, seen),
    };
    let texts = fixed.iter().copied().chain(shown.iter().flat_map(texts_of));
    let words: usize = texts.map(|text| tokens::estimate(text) + MESSAGE_OVERHEAD).sum();
    let tokens = words + seen_now + shown.iter().map(|exchange| seen(&exchange.pictures)).sum::<usize>();
    let system = (!system.is_empty()).then(|| Message::system(system));
    let history = shown.iter().flat_map(|exchange| {
        [asked(&exchange.question, &exchange.pictures, album), Message::assistant(exchange.answer.clone())]
    });
    Prompt { messages: system.into_iter().chain(history).chain(tail).collect(), tokens }
}

/// The model tokens of an exchange, about.
pub fn size(exchange: &Exchange) -> usize {
    texts_of(exchange).into_iter().map(|text| tokens::estimate(text) + MESSAGE_OVERHEAD).sum()
}

/// The most model tokens that an exchange can have.
pub fn most_of(exchange: &Exchange) -> usize {
    texts_of(exchange).into_iter().map(|text| tokens::count_upper_bound(text) + MESSAGE_OVERHEAD).sum()
}

/// A question with its pictures. What cannot be shown is named, so that nobody guesses what was on it.
fn asked(question: &str, pictures: &[MediaId], album: &Shown<'_>) -> Message {
    if pictures.is_empty() {
        return Message::user(question);
    }
    let (there, missing) = album.of(pictures);
    let question = match missing {
        0 => question.to_owned(),
        _ => format!(
            "（这里还有 {missing} 张图片，现在看不到了。/ {missing} picture(s) here cannot be seen any more.）\n{question}"
        ),
    };
    Message::user(question).with_pictures(there)
}

fn texts_of(exchange: &Exchange) -> [&str; 2] {
    [&exchange.question, &exchange.answer]
}

/// The newest exchanges that fit beside `fixed`.
fn newest<'a>(
    fixed: &[&str],
    exchanges: &'a [Exchange],
    budget: usize,
    counter: &TokenCounter,
    seen: impl Fn(&[MediaId]) -> usize,
) -> &'a [Exchange] {
    let cost = |text: &str| counter.count(text) + MESSAGE_OVERHEAD;
    let mut used: usize = fixed.iter().map(|text| cost(text)).sum();
    let mut first = exchanges.len();
    while let Some(older) = first.checked_sub(1) {
        let exchange = &exchanges[older];
        used += cost(&exchange.question) + cost(&exchange.answer) + seen(&exchange.pictures);
        if used > budget {
            break;
        }
        first = older;
    }
    &exchanges[first..]
}
