//! Puts originals back into a text that comes in pieces.

use std::sync::Arc;

use super::masks::{MOST_INSIDE, Masks, OPEN, inside};

/// Restores a stream. What may be the beginning of a placeholder waits for its end, and nothing else waits.
#[derive(Debug)]
pub struct Restorer {
    masks: Arc<Masks>,
    held: String,
    in_json: bool,
}

impl Restorer {
    /// With the masks of the request.
    pub const fn new(masks: Arc<Masks>) -> Self {
        Self { masks, held: String::new(), in_json: false }
    }

    /// The same for a text that is JSON: what is put back stands within its strings.
    pub fn in_json(self) -> Self {
        Self { in_json: true, ..self }
    }

    /// Takes the next piece; gives what is sure by now, which may be nothing.
    pub fn push(&mut self, delta: &str) -> String {
        self.held.push_str(delta);
        let sure = self.held.len() - self.unsure();
        let rest = self.held.split_off(sure);
        let sure = std::mem::replace(&mut self.held, rest);
        if sure.contains(OPEN) { self.restore(&sure) } else { sure }
    }

    /// The rest; nothing follows.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.held);
        self.restore(&rest)
    }

    fn restore(&self, text: &str) -> String {
        if self.in_json { self.masks.restore_json(text) } else { self.masks.restore(text) }
    }

    /// How many bytes at the end may be the beginning of a placeholder.
    fn unsure(&self) -> usize {
        let Some(at) = self.held.rfind(OPEN) else { return 0 };
        let tail = &self.held[at..];
        let may_end = tail.chars().count() <= MOST_INSIDE + 1;
        if may_end && inside(tail).is_none() && !tail.contains(super::masks::CLOSE) { tail.len() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::safety::personal::Kind;

    fn masks() -> Masks {
        let mut masks = Masks::new(Kind::ALL.into_iter().collect());
        masks.mask("13812345678 13987654321 a@b.cn");
        masks
    }

    #[test]
    fn only_what_may_be_a_placeholder_waits() {
        let mut restorer = Restorer::new(Arc::new(masks()));
        for (delta, sure) in [
            ("打 ⟦手", "打 "),
            ("机1", ""),
            ("⟧ 吧", "13812345678 吧"),
            ("⟦⟦邮箱", "⟦"),
            ("1⟧", "a@b.cn"),
            ("⟦这不是记号，而只是一个括号", ""),
            ("里的话，对", "⟦这不是记号，而只是一个括号里的话，对"),
            ("⟦手机", ""),
        ] {
            assert_eq!(restorer.push(delta), sure, "{delta}");
        }
        assert_eq!(restorer.finish(), "⟦手机");
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_same_is_read(
            text in "([⟦⟧手机邮箱1-4 ，]|⟦手机[1-3]⟧|⟦ ?邮箱 ?1⟧){0,40}",
            size in 1usize..9,
        ) {
            let whole = masks().restore(&text);
            let chars: Vec<char> = text.chars().collect();
            let mut restorer = Restorer::new(Arc::new(masks()));
            let mut read: String = chars.chunks(size).map(|delta| restorer.push(&String::from_iter(delta))).collect();
            read.push_str(&restorer.finish());
            prop_assert_eq!(read, whole);
        }
    }
}
