//! Characters as rules see them: one form of case and width, and without what nobody sees.

/// What a character is to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    /// This character, in small letters and of normal width.
    Char(char),
    /// White space within a line.
    Space,
    /// The end of a line.
    Line,
    /// It does not show, or only shapes what shows: Markdown's marks, zero-width characters.
    Unseen,
}

/// What `char` is to a rule.
pub(super) fn fold(char: char) -> Fold {
    match char {
        '\n' | '\r' | '\u{2028}' | '\u{2029}' => Fold::Line,
        // Joiners and direction marks, soft hyphen, variation selectors, accents that stand alone, Markdown's marks.
        '\u{00ad}'
        | '\u{0300}'..='\u{036f}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e0fff}'
        | '*'
        | '＊'
        | '`'
        | '~' => Fold::Unseen,
        // The full-width forms of ASCII.
        '\u{ff01}'..='\u{ff5e}' => {
            Fold::Char(char::from_u32(u32::from(char) - 0xfee0).unwrap_or(char).to_ascii_lowercase())
        }
        _ if char.is_whitespace() => Fold::Space,
        _ if char.is_ascii() => Fold::Char(char.to_ascii_lowercase()),
        // A letter whose small form has several characters is compared by the first.
        _ => Fold::Char(char.to_lowercase().next().unwrap_or(char)),
    }
}

/// Whether spaces between characters of this kind say nothing: Chinese, Japanese, Korean.
pub(super) fn is_cjk(char: char) -> bool {
    matches!(u32::from(char), 0x2e80..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}
