//! Reads the XML that WeCom speaks: one root, the texts of its children by name, and of what stands below those.
//!
//! Refuses what an attacker would bring (DTDs, entities, deep nesting) and what is cut; forgives what a person can
//! type (control characters that XML forbids are dropped). Knows no element by name.

use quick_xml::{
    Error as QuickError, Reader,
    errors::{IllFormedError, SyntaxError},
    escape::resolve_xml_entity,
    events::Event,
};

/// How deep elements may nest. WeCom's deepest (approval events) has six levels.
const MAX_DEPTH: usize = 16;

/// A text is not XML that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum XmlFault {
    /// It brings a document type.
    Dtd,
    /// It is not well-formed; why, in words.
    Malformed(&'static str),
}

/// The texts of the root's children, and of the elements below them, by name.
#[derive(Debug, Default)]
pub(super) struct Fields {
    own: Vec<(String, String)>,
    below: Vec<(String, String)>,
}

impl Fields {
    /// Reads a whole document.
    pub(super) fn read(xml: &str) -> Result<Self, XmlFault> {
        let mut reader = Reader::from_str(xml);
        reader.config_mut().expand_empty_elements = true;
        let mut fields = Self::default();
        // Which of those below are open, the innermost last.
        let mut open: Vec<usize> = Vec::new();
        let mut depth = 0_usize;
        let mut roots = 0_usize;
        loop {
            let text = match reader.read_event()? {
                Event::Start(start) => {
                    depth += 1;
                    match depth {
                        1 => roots += 1,
                        2 => fields.own.push((start.name().as_ref().to_owned(), String::new())),
                        _ => {
                            open.push(fields.below.len());
                            fields.below.push((start.name().as_ref().to_owned(), String::new()));
                        }
                    }
                    if depth > MAX_DEPTH {
                        return Err(XmlFault::Malformed("nested too deeply"));
                    }
                    continue;
                }
                Event::End(_) => {
                    depth = depth.saturating_sub(1);
                    open.pop();
                    continue;
                }
                Event::Text(text) => text.xml10_content(),
                Event::CData(text) => text.xml10_content(),
                Event::GeneralRef(reference) => match reference.resolve_char_ref()? {
                    Some(character) => character.to_string().into(),
                    None => resolve_xml_entity(&reference.into_inner())
                        .ok_or(XmlFault::Malformed("an entity that XML does not define"))?
                        .into(),
                },
                Event::DocType(_) => return Err(XmlFault::Dtd),
                // Empty elements do not come here: the reader was told to make a start and an end of each.
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => continue,
                Event::Eof => break,
            };
            let innermost = match open.last() {
                Some(place) => fields.below.get_mut(*place),
                None => fields.own.last_mut().filter(|_| depth == 2),
            };
            match (depth, innermost) {
                (_, Some((_, value))) => push_allowed(value, &text),
                (0, _) if !text.trim().is_empty() => return Err(XmlFault::Malformed("text outside the root element")),
                _ => {}
            }
        }
        match (roots, depth) {
            (1, 0) => Ok(fields),
            (0, _) => Err(XmlFault::Malformed("no element in it")),
            (_, 0) => Err(XmlFault::Malformed("more than one root element")),
            _ => Err(XmlFault::Malformed("it ends before its root element does")),
        }
    }

    /// The text of the child `name` as it was written; of the first, should there be several.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.own.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The texts of the elements `name` that stand below children of the root, in their order.
    pub(super) fn below(&self, name: &str) -> impl Iterator<Item = &str> {
        self.below.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The text of the child `name` without the blanks around it, where anything is left: for ids, types and numbers.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|word| !word.is_empty())
    }
}

/// Adds `text` without the control characters that XML 1.0 has no way to write, and that no person means.
fn push_allowed(value: &mut String, text: &str) {
    let is_forbidden = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
    for piece in text.split(is_forbidden) {
        value.push_str(piece);
    }
}

impl From<QuickError> for XmlFault {
    fn from(error: QuickError) -> Self {
        match error {
            QuickError::Syntax(SyntaxError::UnclosedDoctype)
            | QuickError::IllFormed(IllFormedError::MissingDoctypeName) => Self::Dtd,
            QuickError::Syntax(_) => Self::Malformed("a tag, a comment or a CDATA section is not closed"),
            QuickError::IllFormed(_) => Self::Malformed("tags or references do not match"),
            QuickError::Escape(_) => Self::Malformed("a reference to a character that is none"),
            _ => Self::Malformed("not well-formed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_read_as_they_were_meant() {
        let cases = [
            ("<xml><A>1</A></xml>", Some("1")),
            (
                "<?xml version=\"1.0\"?>\n<xml>\n <B>x</B><!-- c --><A><![CDATA[a<b>&amp;]]></A>\n</xml>\n",
                Some("a<b>&amp;"),
            ),
            ("<xml><A>&lt;&#x4f60;&#22909;&amp;amp;</A></xml>", Some("<你好&amp;")),
            ("<xml><A>x<![CDATA[y]]> z</A></xml>", Some("xy z")),
            ("<xml><A>a\r\nb\u{0}\u{8}\tc</A></xml>", Some("a\nb\tc")),
            ("<xml><A>first</A><A>second</A></xml>", Some("first")),
            ("<xml><A><B>deeper</B>own</A></xml>", Some("own")),
            ("<xml><B><A>deeper</A></B></xml>", None),
            ("<xml><A/></xml>", Some("")),
            ("<xml/>", None),
        ];
        for (xml, expected) in cases {
            assert_eq!(Fields::read(xml).expect(xml).get("A"), expected, "{xml}");
        }
    }

    #[test]
    fn what_is_cut_or_hostile_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(17), "</a>".repeat(17));
        let dtds = [
            "<!DOCTYPE xml><xml/>",
            "<!doctype xml [<!ENTITY a \"b\">]><xml><A>&a;</A></xml>",
            "<xml><!DOCTYPE a></xml>",
            "<!DOCTYPE",
            "<!DOCTYPE><xml/>",
        ];
        for xml in dtds {
            assert_eq!(Fields::read(xml).err(), Some(XmlFault::Dtd), "{xml}");
        }
        let malformed = [
            "",
            "hello",
            "{}",
            "<xml>",
            "<xml><A>1</xml>",
            "<xml></xml><xml/>",
            "<xml/>tail",
            "<xml><A>&nbsp;</A></xml>",
            "<xml><A>&#xD800;</A></xml>",
            "<xml><A>1 & 2</A></xml>",
            "<xml><A><![CDATA[1</A></xml>",
            "</xml>",
            "<!ENTITY a \"b\"><xml/>",
            &deep,
        ];
        for xml in malformed {
            assert!(matches!(Fields::read(xml), Err(XmlFault::Malformed(_))), "{xml}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_text_survives_cdata_and_escaping(text in "[^\\p{Cc}]{0,60}") {
            let literal = format!("<xml><A><![CDATA[{}]]></A></xml>", text.replace("]]>", "]]]]><![CDATA[>"));
            let fields = Fields::read(&literal).expect("reads");
            prop_assert_eq!(fields.get("A"), Some(text.as_str()));
            let escaped = format!("<xml><A>{}</A></xml>", quick_xml::escape::escape(text.as_str()));
            let fields = Fields::read(&escaped).expect("reads");
            prop_assert_eq!(fields.get("A"), Some(text.as_str()));
        }

        #[test]
        fn nothing_makes_it_panic(xml in "(<|>|/|!|\\[|\\]|&|;|#|x|-|\\?|DOCTYPE|CDATA| |\"|\\x00|你|a){0,40}") {
            let _ = Fields::read(&xml);
        }
    }
}
