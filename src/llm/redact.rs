//! Makes what an upstream says safe to log and to show.
//!
//! Error texts quote requests, and a proxy's page can hold anything. Knows nothing of where the text goes.

use std::sync::Arc;

use crate::secret::Secret;

/// The longest text kept, in bytes: a sentence or two, enough to see what is wrong.
const MAX_BYTES: usize = 300;
/// Shorter values are switches such as `true`, not secrets; taking them out would only tear the text.
const MIN_SECRET_BYTES: usize = 8;
/// So many characters in a row that stand in a quoted text too are a quotation. Fewer are words that anybody uses.
const QUOTATION_CHARS: usize = 8;
/// A whole text that is shorter than this is no quotation: it would tear other words.
const MIN_QUOTED_CHARS: usize = 2;
/// As much of a text is remembered to find quotations of: more than WeCom lets a member write. Each running answer
/// holds it.
const REMEMBERED_BYTES: usize = 4096;
/// As much of a text is looked at for quotations: more than is kept of it, so that what moves up was looked at too.
const LOOKED_AT_BYTES: usize = 4 * MAX_BYTES;

/// Knows what was sent in confidence.
#[derive(Clone, Debug, Default)]
pub(super) struct Redactor {
    secrets: Vec<Secret<String>>,
    /// What members said and are said, and our instructions: an upstream that refuses a request may quote it.
    texts: Vec<Secret<Arc<str>>>,
}

impl Redactor {
    /// Hides every word of `secrets`: of `Bearer abc…` it is `abc…` that comes back.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret<String>>) -> Self {
        let words = secrets.into_iter().flat_map(|secret| secret.expose().split_whitespace());
        let mut words: Vec<&str> = words.filter(|word| word.len() >= MIN_SECRET_BYTES).collect();
        // A secret within a longer one must not leave the longer one's rest.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let secrets = words.into_iter().map(|word| Secret::new(word.to_owned())).collect();
        Self { secrets, texts: Vec::new() }
    }

    /// Hides these too, wherever they stand.
    pub(super) fn and_words<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut redactor = self.clone();
        let words = words.into_iter().filter(|word| !word.is_empty());
        redactor.secrets.extend(words.map(|word| Secret::new(word.to_owned())));
        redactor
    }

    /// Hides quotations from these texts too.
    pub(super) fn and_quotations<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut redactor = self.clone();
        redactor.texts.extend(texts.into_iter().map(|text| {
            let text = text.trim();
            Secret::new(Arc::from(&text[..text.floor_char_boundary(REMEMBERED_BYTES)]))
        }));
        redactor
    }

    /// `text` on one line, without secrets, at most [`MAX_BYTES`] long.
    pub(super) fn clean(&self, text: &str) -> String {
        // Control characters go first, so that none of them can hide a secret; the cut comes last, so that no part of
        // a secret is left before it.
        let mut clean: String = text.chars().filter(|c| !c.is_control()).collect();
        for secret in &self.secrets {
            clean = clean.replace(secret.expose(), "***");
        }
        let looked_at = clean.trim();
        let mut clean = looked_at[..looked_at.floor_char_boundary(LOOKED_AT_BYTES)].to_owned();
        for text in &self.texts {
            clean = without_quotations(&clean, text.expose());
        }
        clean.truncate(clean.floor_char_boundary(MAX_BYTES));
        clean
    }
}

/// `said` with stars for all of `text`, and for each piece of it that is long enough to be a quotation.
fn without_quotations(said: &str, text: &str) -> String {
    let said = if text.chars().count() < MIN_QUOTED_CHARS { said.to_owned() } else { said.replace(text, "***") };
    let starts: Vec<usize> = said.char_indices().map(|(at, _)| at).chain([said.len()]).collect();
    let mut clean = String::new();
    let mut at = 0;
    while at + 1 < starts.len() {
        let piece = |chars: usize| starts.get(at + chars).map(|end| &said[starts[at]..*end]);
        let mut chars = QUOTATION_CHARS;
        if !piece(chars).is_some_and(|piece| text.contains(piece)) {
            clean.push_str(&said[starts[at]..starts[at + 1]]);
            at += 1;
            continue;
        }
        while piece(chars + 1).is_some_and(|piece| text.contains(piece)) {
            chars += 1;
        }
        clean.push_str("***");
        at += chars;
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_secret_is_left() {
        let secrets = ["sk-0123456789", "Bearer sk-0123456789-long", "on"].map(|text| Secret::new(text.to_owned()));
        let redactor = Redactor::new(&secrets);
        for (text, expected) in [
            ("key sk-0123456789 is wrong", "key *** is wrong"),
            ("key sk-0123456789-long is on", "key *** is on"),
            ("key sk-01234\n56789", "key ***"),
            ("\u{1b}[31mred\r\n", "[31mred"),
        ] {
            assert_eq!(redactor.clean(text), expected);
        }
        let at_the_cut = format!("{}sk-0123456789", "x".repeat(MAX_BYTES - 6));
        assert!(!redactor.clean(&at_the_cut).contains("sk-"));
        assert_eq!(redactor.clean(&"\u{4f60}".repeat(200)).len(), 300);
    }

    #[test]
    fn what_a_member_said_is_not_quoted() {
        let redactor = Redactor::default().and_quotations(["请帮我写一封辞职信给王经理", "嗯", "好的"]);
        for (said, expected) in [
            ("bad input: 请帮我写一封辞职信给王经理", "bad input: ***"),
            ("blocked: ...写一封辞职信给王...", "blocked: ...***..."),
            ("\u{1f600}帮我写一封辞职信", "\u{1f600}***"),
            ("好的 is not English", "*** is not English"),
            ("嗯, a word", "嗯, a word"),
            ("nothing of it", "nothing of it"),
        ] {
            assert_eq!(redactor.clean(said), expected);
        }
        let long = format!("{}写一封辞职信给王", "x".repeat(MAX_BYTES - 3));
        assert_eq!(redactor.clean(&long), format!("{}***", "x".repeat(MAX_BYTES - 3)));
    }
}
