//! Parts a model's thinking from its answer.
//!
//! Several open models write `<think>…</think>` before the answer, in the same text. Knows only this pair of tags, and
//! only at the start: an answer that explains the tag keeps it. A model that thinks aloud without the opening tag
//! cannot be told from one that answers. To know another pair of tags, add it beside [`OPEN`] and [`CLOSE`].

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Takes the pieces of an answer in order and gives back what of them is the answer.
#[derive(Debug, Default)]
pub(super) struct ThinkFilter {
    state: State,
    /// What cannot be judged before more has come: in `Start` white space and a part of [`OPEN`], in `Thinking` a part
    /// of [`CLOSE`].
    held: String,
    /// What was thought since it was taken last.
    thought: String,
}

#[derive(Debug, Default)]
enum State {
    /// So far there was nothing but white space and, at most, a part of [`OPEN`].
    #[default]
    Start,
    Thinking,
    /// The thinking is over; the white space after it is not part of the answer.
    Thought,
    Answer,
}

impl ThinkFilter {
    /// The part of the answer that `piece` brings. May be empty, and may hold what earlier pieces left in doubt.
    pub(super) fn push(&mut self, piece: &str) -> String {
        match self.state {
            State::Answer => return piece.to_owned(),
            State::Thought => return self.begin_answer(piece),
            State::Start | State::Thinking => self.held.push_str(piece),
        }
        if let State::Start = self.state {
            let begun = self.held.trim_start();
            if let Some(thought) = begun.strip_prefix(OPEN) {
                self.held = thought.to_owned();
                self.state = State::Thinking;
            } else if OPEN.starts_with(begun) {
                return String::new();
            } else {
                self.state = State::Answer;
                return std::mem::take(&mut self.held);
            }
        }
        if let Some(at) = self.held.find(CLOSE) {
            self.state = State::Thought;
            let held = std::mem::take(&mut self.held);
            self.thought.push_str(&held[..at]);
            return self.begin_answer(&held[at + CLOSE.len()..]);
        }
        let keep = (1..CLOSE.len()).rev().find(|&len| self.held.ends_with(&CLOSE[..len])).unwrap_or(0);
        self.thought.extend(self.held.drain(..self.held.len() - keep));
        String::new()
    }

    /// What was thought since this was asked last; mostly nothing.
    pub(super) fn take_thought(&mut self) -> String {
        std::mem::take(&mut self.thought)
    }

    /// What is still held when the answer ends. Thinking that was never closed is not part of it.
    pub(super) fn finish(&mut self) -> String {
        match self.state {
            State::Start => std::mem::take(&mut self.held),
            State::Thinking | State::Thought | State::Answer => String::new(),
        }
    }

    fn begin_answer(&mut self, text: &str) -> String {
        let text = text.trim_start();
        if !text.is_empty() {
            self.state = State::Answer;
        }
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer<'a>(pieces: impl IntoIterator<Item = &'a str>) -> String {
        let mut filter = ThinkFilter::default();
        let mut answer: String = pieces.into_iter().map(|piece| filter.push(piece)).collect();
        answer.push_str(&filter.finish());
        answer
    }

    #[test]
    fn only_thinking_at_the_start_is_left_out_wherever_the_pieces_are_cut() {
        for (text, expected) in [
            ("plain", "plain"),
            ("<think>hm</think>yes", "yes"),
            (" \n<think>\n想</think>\n\n好 的 ", "好 的 "),
            ("<think></think>a<think>b</think>", "a<think>b</think>"),
            ("use <think> for that </think>", "use <think> for that </think>"),
            ("<think>a</thin</think> </think>b", "</think>b"),
            ("<think>never closed", ""),
            ("<think>closed</think>\n", ""),
            ("<think>half closed</thi", ""),
            ("<thi", "<thi"),
            ("<thinking>x", "<thinking>x"),
            ("  indented", "  indented"),
            (" \n", " \n"),
            ("", ""),
        ] {
            assert_eq!(answer([text]), expected, "{text}");
            let mut buffer = [0; 4];
            let mut one_by_one = ThinkFilter::default();
            let mut slow: String = text.chars().map(|c| one_by_one.push(c.encode_utf8(&mut buffer))).collect();
            slow.push_str(&one_by_one.finish());
            assert_eq!(slow, expected, "{text}");
            for (at, _) in text.char_indices() {
                assert_eq!(answer([&text[..at], &text[at..]]), expected, "{text} cut at {at}");
            }
        }
    }

    #[test]
    fn what_was_thought_can_be_taken_wherever_the_pieces_are_cut() {
        let text = " <think>想</thi一</think>\n好";
        for (at, _) in text.char_indices() {
            let mut filter = ThinkFilter::default();
            let mut thought = String::new();
            for piece in [&text[..at], &text[at..]] {
                filter.push(piece);
                thought.push_str(&filter.take_thought());
            }
            assert_eq!(thought, "想</thi一", "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn text_that_does_not_start_with_the_tag_passes_unchanged(pieces in proptest::collection::vec("[<a-k/> \n]{0,9}", 0..6)) {
            let text = pieces.concat();
            prop_assume!(!text.trim_start().starts_with(OPEN));
            prop_assert_eq!(answer(pieces.iter().map(String::as_str)), text);
        }
    }
}
