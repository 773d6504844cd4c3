//! The known name that somebody who wrote an unknown one most likely meant.

/// How alike two names must be (0 to 1) for one to be suggested for the other. Below it suggestions mislead.
const ALIKE: f64 = 0.6;

/// The name among `known` that is nearest to `written`, if any is near. The same key in another section is nearer than
/// a like key in the same: `openai.api_key` means `llm.api_key`.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_ascii_lowercase();
    let scored = known.into_iter().map(|name| (likeness(&written, &name.to_ascii_lowercase()), name));
    let (likeness, name) = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (likeness >= ALIKE).then_some(name)
}

fn likeness(written: &str, name: &str) -> f64 {
    let key = |text: &str| text.rsplit_once('.').map_or(text.to_owned(), |(_, key)| key.to_owned());
    let whole = strsim::normalized_damerau_levenshtein(written, name);
    if key(written) == key(name) { whole.max(0.9) } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let known = ["wecom.corp_id", "wecom.secret", "llm.api_key", "llm.model", "chat.welcome"];
        let cases = [
            ("llm.modle", Some("llm.model")),
            ("wecom.corpId", Some("wecom.corp_id")),
            ("openai.api_key", Some("llm.api_key")),
            ("secret", Some("wecom.secret")),
            ("llm.flavour", None),
        ];
        for (written, meant) in cases {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
    }
}
