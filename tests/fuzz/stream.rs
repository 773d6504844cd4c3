//! A model's answer comes to the same however the network cuts it.

use bytes::Bytes;
use proptest::{prop_assert, prop_assert_eq};
use qimate::llm::stream::{Delta, Finish, read};

use crate::run::run;

/// The text and the thoughts, the end, and what went wrong.
fn comes_to(pieces: impl IntoIterator<Item = Bytes>) -> ([String; 2], Option<Finish>, Option<String>) {
    let (deltas, ended) = read(pieces);
    let ([mut text, mut thoughts], mut finish) = ([String::new(), String::new()], None);
    for delta in deltas {
        match delta {
            Delta::Text(more) => text.push_str(&more),
            Delta::Thought(more) => thoughts.push_str(&more),
            Delta::Finish(end) => finish = Some(end),
        }
    }
    ([text, thoughts], finish, ended.err().map(|error| error.to_string()))
}

const WORDS: &[&str] = &[
    "data: ",
    "data:",
    "\n\n",
    "\r\n",
    "\r",
    "[DONE]",
    ": ",
    "event: ",
    "<think>",
    "</think>",
    "{",
    "}",
    "\"content\":\"",
    "\u{feff}",
    "<html>",
    "null",
];

#[test]
fn stream() {
    run("stream", WORDS, |input| {
        let bytes = Bytes::copy_from_slice(input);
        let whole = comes_to([bytes.clone()]);
        prop_assert!(whole.1.is_some() != whole.2.is_some(), "an end, or a reason: {:?}", whole);
        // Sizes that follow from the input, so that a failure can be made small.
        let seed = input.iter().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
        for size in [1, 2, 3, 7, 1 + seed % 97] {
            let pieces = (0..input.len()).step_by(size).map(|at| bytes.slice(at..(at + size).min(input.len())));
            prop_assert_eq!(&comes_to(pieces), &whole, "in pieces of {}", size);
        }
        Ok(())
    });
}
