//! The XML inside: what can be read of it is read the same each time, can be kept, and names its member.

use proptest::{prop_assert, prop_assert_eq};
use qimate::{
    model::{
        event::Event,
        id::{AgentId, CorpId},
    },
    wecom::event,
};

use crate::{
    envelope::{CORP, received},
    run::run,
};

const WORDS: &[&str] = &[
    "<xml>",
    "</xml>",
    "<Content>",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE x [<!ENTITY a \"b\">]>",
    "&a;",
    "&#0;",
    "&lt;",
    "<MsgId>",
    "<!--",
    "<?",
];

/// The XML without its CDATA and comments, in which anything is text.
fn outside_of_quotes(xml: &str) -> String {
    let (mut rest, mut outside) = (xml, String::new());
    loop {
        let quotes = [("<![CDATA[", "]]>"), ("<!--", "-->")];
        let first = quotes.iter().filter_map(|(begin, end)| Some((rest.find(begin)?, end))).min();
        let Some((at, end)) = first else { return outside + rest };
        outside.push_str(&rest[..at]);
        rest = rest[at..].find(end).map_or("", |length| &rest[at + length + end.len()..]);
    }
}

#[test]
fn event() {
    let corp = CorpId::parse(CORP).unwrap();
    run("event", WORDS, |input| {
        let payload = received(input).unwrap();
        let read = || event::parse(&payload, &corp, AgentId::new(1_000_002));
        let Ok(event) = read() else { return Ok(()) };
        prop_assert!(std::str::from_utf8(input).is_ok(), "not UTF-8, and read");
        prop_assert!(
            !outside_of_quotes(&String::from_utf8_lossy(input)).contains("<!DOCTYPE"),
            "a document type, and read"
        );
        prop_assert!(!event.from.as_str().trim().is_empty());
        let again = read().unwrap();
        prop_assert_eq!(again.dedup.as_str(), event.dedup.as_str(), "it would not be known again");
        let json = serde_json::to_string(&event).unwrap();
        let kept: Event = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(serde_json::to_string(&kept).unwrap(), json);
        Ok(())
    });
}
