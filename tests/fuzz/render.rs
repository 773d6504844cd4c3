//! A model's Markdown fits into messages, and nothing that was written is lost on the way.

use proptest::{prop_assert, prop_assert_eq};
use qimate::{
    chat::{live::Live, render::render},
    model::reply::{Format, PART_LIMIT},
};

use crate::run::run;

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

const WORDS: &[&str] = &[
    "```\n",
    "~~~",
    "# ",
    "- ",
    "1. ",
    "> ",
    "| a | b |\n|---|---|\n",
    "**",
    "[a](b)",
    "![",
    "\n\n",
    "    ",
    "<br>",
    "&amp;",
    "\\",
    "---\n",
    "👨‍👩‍👧",
    "。",
];

#[test]
fn markdown() {
    run("render", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        for format in [Format::Text, Format::Markdown] {
            for part in render(&text, format) {
                let content = part.words().expect("words").content();
                prop_assert!(content.len() <= PART_LIMIT && !content.trim().is_empty(), "{} bytes", content.len());
            }
        }
        // Without any syntax, every letter arrives, in order.
        let plain: String = text.chars().map(|c| if c.is_alphanumeric() || c == '\n' { c } else { ' ' }).collect();
        for format in [Format::Text, Format::Markdown] {
            let shown: String =
                render(&plain, format).iter().map(|part| letters(part.words().expect("words").content())).collect();
            prop_assert_eq!(shown, letters(&plain));
        }
        // What is sent while the model still writes is the same text, cut at the same places.
        let chunks = |size: usize| {
            let mut live = Live::resume(true, 0);
            let characters: Vec<char> = text.chars().collect();
            let mut chunks: Vec<String> = Vec::new();
            for piece in characters.chunks(size) {
                chunks.extend(live.push(&piece.iter().collect::<String>()));
            }
            chunks.push(live.finish());
            chunks
        };
        let whole = chunks(usize::MAX);
        prop_assert_eq!(whole.concat(), text.as_ref());
        prop_assert_eq!(chunks(1 + input.len() % 11), whole);
        Ok(())
    });
}
