//! What single lines and characters say about Markdown's blocks, as far as cutting needs it.

/// What a line begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    Heading,
    Item,
    /// A row of a table, or a quote.
    Solid,
    Words,
}

impl Head {
    /// What a line that begins with `text` begins with; `None` while more of it is needed to tell. A line break in
    /// `text` is enough to tell.
    pub(super) fn of(text: &str) -> Option<Self> {
        let behind = |length: usize| text.chars().nth(length).map(char::is_whitespace);
        let if_blank = |length: usize, head: Self| Some(if behind(length)? { head } else { Self::Words });
        match text.chars().next()? {
            '|' | '>' => Some(Self::Solid),
            '-' | '*' | '+' => if_blank(1, Self::Item),
            '#' => match text.chars().take_while(|&char| char == '#').count() {
                level @ 1..=6 => if_blank(level, Self::Heading),
                _ => Some(Self::Words),
            },
            '0'..='9' => match text.chars().take_while(char::is_ascii_digit).count() {
                digits @ 1..=9 => match text.chars().nth(digits)? {
                    '.' | ')' => if_blank(digits + 1, Self::Item),
                    _ => Some(Self::Words),
                },
                _ => Some(Self::Words),
            },
            _ => Some(Self::Words),
        }
    }
}

/// An open fence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    /// The fence that the line `text` opens, be it behind an item's marker.
    pub(super) fn opened_by(text: &str) -> Option<Self> {
        let text = text.trim_start_matches(|char: char| char.is_ascii_digit() || " -*+.)".contains(char));
        let mark = text.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let info = text.trim_start_matches(mark);
        let length = text.len() - info.len();
        let is_fence = length >= 3 && !(mark == '`' && info.contains('`'));
        is_fence.then_some(Self { mark, length })
    }

    pub(super) fn is_closed_by(self, text: &str) -> bool {
        text.len() >= self.length && text.trim_start_matches(self.mark).is_empty()
    }
}

/// Whether a paragraph is inside bold words or inline code, where it is not cut.
#[derive(Debug, Default)]
pub(super) struct Marks {
    last: Option<char>,
    /// The character before `last` belongs to the same pair of stars.
    paired: bool,
    bold: bool,
    code: bool,
}

impl Marks {
    pub(super) fn read(&mut self, next: char) {
        let again = self.last == Some(next);
        self.bold ^= next == '*' && again && !self.paired;
        self.paired = next == '*' && again && !self.paired;
        self.code ^= next == '`' && !again;
        self.last = Some(next);
    }

    pub(super) const fn are_closed(&self) -> bool {
        !self.bold && !self.code
    }
}
