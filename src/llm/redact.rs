//! Makes what an upstream says safe to log and to show.
//!
//! Error texts quote requests, and a proxy's page can hold anything. Knows nothing of where the text goes.

use crate::secret::Secret;

/// The longest text kept, in bytes: a sentence or two, enough to see what is wrong.
const MAX_BYTES: usize = 300;
/// Shorter values are switches such as `true`, not secrets; taking them out would only tear the text.
const MIN_SECRET_BYTES: usize = 8;

/// Knows what was sent in confidence.
#[derive(Clone, Debug, Default)]
pub(super) struct Redactor {
    secrets: Vec<Secret<String>>,
}

impl Redactor {
    /// Hides every word of `secrets`: of `Bearer abc…` it is `abc…` that comes back.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret<String>>) -> Self {
        let words = secrets.into_iter().flat_map(|secret| secret.expose().split_whitespace());
        let mut words: Vec<&str> = words.filter(|word| word.len() >= MIN_SECRET_BYTES).collect();
        // A secret within a longer one must not leave the longer one's rest.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        Self { secrets: words.into_iter().map(|word| Secret::new(word.to_owned())).collect() }
    }

    /// `text` on one line, without secrets, at most [`MAX_BYTES`] long.
    pub(super) fn clean(&self, text: &str) -> String {
        // Control characters go first, so that none of them can hide a secret; the cut comes last, so that no part of
        // a secret is left before it.
        let mut clean: String = text.chars().filter(|c| !c.is_control()).collect();
        for secret in &self.secrets {
            clean = clean.replace(secret.expose(), "***");
        }
        let clean = clean.trim();
        clean[..clean.floor_char_boundary(MAX_BYTES)].to_owned()
    }
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
}
