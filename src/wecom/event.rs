//! What a payload means: the inner XML as an [`Event`].
//!
//! Loses nothing: what it does not understand (a type invented next year, a text without text, a system event without
//! a member) becomes [`EventKind::Unknown`] with the whole XML. Only what is no XML is refused. Knows nothing of what
//! is done about an event. To understand one more, add a variant to [`EventKind`] and a line to `message` or `event`
//! below.

use sha1::{Digest, Sha1};

use super::{
    callback::{Payload, Rejection, utf8},
    change,
    xml::Fields,
};
use crate::{
    clock::Timestamp,
    model::{
        event::{DedupKey, Event, EventKind},
        id::{AgentId, CorpId, MemberId},
        preferences::Client,
    },
};

/// Whom WeCom names as the sender of events that no member caused (page 90240). We use it too where none is named.
const SYSTEM: &str = "sys";

/// Reads a decrypted callback of the enterprise `corp`. `agent` is the application it came in through: the one that it
/// names, where it names one. Nobody works on the messages of any other, and equal Tokens and keys do not tell them apart.
///
/// # Errors
/// [`Rejection::MalformedXml`], [`Rejection::DtdPresent`], [`Rejection::OtherAgent`].
pub fn parse(payload: &Payload, corp: &CorpId, agent: AgentId) -> Result<Event, Rejection> {
    let event = read(payload.bytes(), payload.signed_at(), corp, agent)?;
    if event.agent == agent { Ok(event) } else { Err(Rejection::OtherAgent { found: event.agent }) }
}

fn read(xml: &[u8], signed_at: Timestamp, corp: &CorpId, agent: AgentId) -> Result<Event, Rejection> {
    let raw = utf8(xml)?;
    let fields = Fields::read(raw)?;
    let agent = agent_of(&fields).unwrap_or(agent);
    let sender = fields.word("FromUserName").and_then(|id| MemberId::parse(id).ok());
    let known = sender.as_ref().and_then(|_| message(&fields).or_else(|| event(&fields)));
    let kind = known.unwrap_or_else(|| EventKind::Unknown { name: name(&fields), raw: raw.to_owned() });
    let from = match sender {
        Some(sender) => sender,
        None => MemberId::parse(SYSTEM).map_err(|_| Rejection::MalformedXml("it names no sender"))?,
    };
    let at = fields.word("CreateTime").and_then(|secs| secs.parse().ok()).map_or(signed_at, Timestamp::from_secs);
    let dedup = match fields.word("MsgId") {
        Some(msg_id) => DedupKey::of_message(corp, agent, &from, at, msg_id),
        None => DedupKey::of_event(corp, agent, &from, at, &name(&fields), &detail(&kind, raw)),
    };
    Ok(Event { corp: corp.clone(), agent, from, at, dedup, kind })
}

/// The application that the payload names. Old task cards write it with a small d.
fn agent_of(fields: &Fields) -> Option<AgentId> {
    fields.word("AgentID").or_else(|| fields.word("AgentId"))?.parse().ok().map(AgentId::new)
}

/// `MsgType`, or `event:` and the `Event`.
fn name(fields: &Fields) -> String {
    match (fields.word("MsgType"), fields.word("Event")) {
        (Some("event"), Some(event)) => format!("event:{event}"),
        (Some(message), _) => message.to_owned(),
        (None, _) => "nothing".to_owned(),
    }
}

/// What tells two events apart that have the same name, the same sender and the same second. Without a `MsgId` and
/// without a known key that is the XML itself: a repeated callback repeats it.
fn detail(kind: &EventKind, raw: &str) -> String {
    match kind {
        EventKind::EnterAgent | EventKind::Subscribe | EventKind::Unsubscribe => String::new(),
        EventKind::Click { key } => key.clone(),
        // A task id holds no colon, so the last one parts the two.
        EventKind::CardClick { key, task_id, chosen, .. } if chosen.is_empty() => format!("{key}:{task_id}"),
        EventKind::CardClick { key, task_id, chosen, .. } => format!("{key}:{}:{task_id}", digest(&chosen.join("\n"))),
        EventKind::Text { content } => digest(content),
        _ => digest(raw),
    }
}

fn digest(text: &str) -> String {
    hex::encode(Sha1::digest(text))
}

/// The messages (page 90239), each only with what makes it one: an image without a media id is none.
fn message(fields: &Fields) -> Option<EventKind> {
    let needed = |name| fields.word(name).map(str::to_owned);
    let optional = |name| fields.get(name).unwrap_or_default().to_owned();
    Some(match fields.word("MsgType")? {
        "text" => {
            fields.word("Content")?;
            EventKind::Text { content: optional("Content") }
        }
        "image" => EventKind::Image { media_id: needed("MediaId")?, pic_url: optional("PicUrl") },
        "voice" => EventKind::Voice { media_id: needed("MediaId")?, format: optional("Format") },
        "video" => EventKind::Video { media_id: needed("MediaId")?, thumb_media_id: optional("ThumbMediaId") },
        "location" => EventKind::Location {
            latitude: needed("Location_X")?,
            longitude: needed("Location_Y")?,
            label: optional("Label"),
            // Empty from the WeChat plugin (page 90239); a client that leaves it out says nothing.
            client: match fields.get("AppType").map(str::trim) {
                Some("wxwork") => Client::WeCom,
                Some("") => Client::WeChat,
                _ => Client::Unknown,
            },
        },
        "link" => {
            EventKind::Link { title: optional("Title"), description: optional("Description"), url: needed("Url")? }
        }
        _ => return None,
    })
}

/// The events (page 90240) that something is done about.
fn event(fields: &Fields) -> Option<EventKind> {
    let text = |name| fields.word(name).unwrap_or_default().to_owned();
    if fields.word("MsgType")? != "event" {
        return None;
    }
    Some(match fields.word("Event")? {
        "enter_agent" => EventKind::EnterAgent,
        "subscribe" => EventKind::Subscribe,
        "unsubscribe" => EventKind::Unsubscribe,
        "change_contact" => EventKind::ContactChange(change::read(fields)?),
        "click" => EventKind::Click { key: text("EventKey") },
        "template_card_event" => EventKind::CardClick {
            key: text("EventKey"),
            task_id: text("TaskId"),
            response_code: text("ResponseCode"),
            chosen: fields.below("OptionId").map(|id| id.trim().to_owned()).collect(),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wecom::crypto::tests::vector;

    const OURS: AgentId = AgentId::new(1000002);

    fn parsed(xml: &[u8]) -> Result<Event, Rejection> {
        read(xml, Timestamp::from_secs(1_700_000_009), &CorpId::parse("ww1").expect("corp id"), OURS)
    }

    /// A callback of a usual member with `rest` in it.
    fn event_with(rest: &str) -> Event {
        let common = "<FromUserName><![CDATA[ZhangSan]]></FromUserName><CreateTime>1700000000</CreateTime>";
        parsed(format!("<xml>{common}{rest}</xml>").as_bytes()).expect("event")
    }

    fn text(content: &str) -> EventKind {
        EventKind::Text { content: content.to_owned() }
    }

    #[test]
    fn the_published_messages_are_texts() {
        let b = parsed(vector("B").plaintext.as_bytes()).expect("event");
        assert_eq!((b.kind, b.from.as_str(), b.agent.get()), (text("hello"), "mycreate", 218));
        assert_eq!(b.at, Timestamp::from_secs(1_409_659_813));
        assert_eq!(b.dedup.as_str(), "1409659813:m:ww1:218:mycreate:4561255354251345929");
        let e = parsed(vector("E").plaintext.as_bytes()).expect("event");
        assert_eq!((e.kind, e.from.as_str(), e.agent), (text("你好"), "ChenJiaShun", OURS));
    }

    #[test]
    fn each_known_kind_is_understood() {
        let owned = str::to_owned;
        let location = |client| {
            let (latitude, longitude, label) = (owned("23"), owned("113"), owned("广州"));
            EventKind::Location { latitude, longitude, label, client }
        };
        let cases = [
            ("<MsgType>text</MsgType><Content>1 &lt; 2&#x4f60;\n </Content>", text("1 < 2你\n ")),
            ("<MsgType>text</MsgType><Content><![CDATA[&lt;b>]]></Content>", text("&lt;b>")),
            (
                "<MsgType>image</MsgType><PicUrl>http://p</PicUrl><MediaId>m</MediaId>",
                EventKind::Image { media_id: owned("m"), pic_url: owned("http://p") },
            ),
            (
                "<MsgType>voice</MsgType><MediaId>m</MediaId><Format>amr</Format>",
                EventKind::Voice { media_id: owned("m"), format: owned("amr") },
            ),
            (
                "<MsgType>video</MsgType><MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId>",
                EventKind::Video { media_id: owned("m"), thumb_media_id: owned("t") },
            ),
            (
                "<MsgType>location</MsgType><Location_X>23</Location_X><Location_Y>113</Location_Y><Label>广州</Label>",
                location(Client::Unknown),
            ),
            (
                "<MsgType>location</MsgType><Location_X>23</Location_X><Location_Y>113</Location_Y><Label>广州</Label>\
                 <AppType><![CDATA[wxwork]]></AppType>",
                location(Client::WeCom),
            ),
            (
                "<MsgType>location</MsgType><Location_X>23</Location_X><Location_Y>113</Location_Y><Label>广州</Label>\
                 <AppType><![CDATA[]]></AppType>",
                location(Client::WeChat),
            ),
            (
                "<MsgType>link</MsgType><Title>t</Title><Description>d</Description><Url>u</Url>",
                EventKind::Link { title: owned("t"), description: owned("d"), url: owned("u") },
            ),
            ("<MsgType>event</MsgType><Event>enter_agent</Event><EventKey/>", EventKind::EnterAgent),
            ("<MsgType>event</MsgType><Event>subscribe</Event>", EventKind::Subscribe),
            ("<MsgType>event</MsgType><Event>unsubscribe</Event>", EventKind::Unsubscribe),
            (
                "<MsgType>event</MsgType><Event>click</Event><EventKey>menu</EventKey>",
                EventKind::Click { key: owned("menu") },
            ),
            (
                "<MsgType>event</MsgType><Event>template_card_event</Event><EventKey>stop</EventKey><TaskId>t1</TaskId>\
                 <ResponseCode>r</ResponseCode><SelectedItems><TaskId>q</TaskId></SelectedItems>",
                EventKind::CardClick {
                    key: owned("stop"),
                    task_id: owned("t1"),
                    response_code: owned("r"),
                    chosen: Vec::new(),
                },
            ),
            (
                "<MsgType>event</MsgType><Event>template_card_event</Event><EventKey>k</EventKey><TaskId>t1</TaskId>\
                 <ResponseCode>r</ResponseCode><SelectedItems><SelectedItem><QuestionKey>q</QuestionKey>\n <OptionIds>\
                 <OptionId><![CDATA[a b]]></OptionId><OptionId>c&amp;d</OptionId></OptionIds></SelectedItem>\
                 </SelectedItems>",
                EventKind::CardClick {
                    key: owned("k"),
                    task_id: owned("t1"),
                    response_code: owned("r"),
                    chosen: vec![owned("a b"), owned("c&d")],
                },
            ),
        ];
        for (xml, kind) in cases {
            assert_eq!(event_with(xml).kind, kind, "{xml}");
        }
    }

    #[test]
    fn what_is_not_understood_is_kept_whole() {
        let cases = [
            ("<MsgType>hologram</MsgType><Beam>1</Beam>", "hologram"),
            ("<MsgType>event</MsgType><Event>LOCATION</Event>", "event:LOCATION"),
            ("<MsgType>event</MsgType>", "event"),
            ("<MsgType>text</MsgType>", "text"),
            ("<MsgType>text</MsgType><Content> \n</Content>", "text"),
            ("<MsgType>image</MsgType><MediaId/>", "image"),
            ("", "nothing"),
        ];
        for (xml, expected) in cases {
            match event_with(xml).kind {
                EventKind::Unknown { name, raw } => assert!(name == expected && raw.contains(xml), "{name}: {raw}"),
                other => panic!("{xml} became {other:?}"),
            }
        }
    }

    #[test]
    fn without_a_usable_sender_an_event_is_the_systems_and_unknown() {
        let long = format!("<FromUserName>{}</FromUserName>", "a".repeat(65));
        for from in ["", "<FromUserName/>", "<FromUserName>a|b</FromUserName>", &long] {
            let xml = format!("<xml>{from}<MsgType>text</MsgType><Content>hi</Content><MsgId>1</MsgId></xml>");
            let event = parsed(xml.as_bytes()).expect("event");
            assert_eq!((event.from.as_str(), event.kind.name()), ("sys", "unknown"), "{xml}");
            assert_eq!(event.at, Timestamp::from_secs(1_700_000_009), "the signature's time stands in");
        }
    }

    #[test]
    fn the_agent_is_the_payloads_or_else_ours() {
        for (xml, agent) in [
            ("<AgentID>7</AgentID>", 7),
            ("<AgentId>8</AgentId>", 8),
            ("<AgentID>none</AgentID>", 1_000_002),
            ("", 1_000_002),
        ] {
            assert_eq!(event_with(xml).agent.get(), agent, "{xml}");
        }
    }

    #[test]
    fn a_repeated_callback_has_the_same_key_and_another_one_another() {
        let contents = [
            "<MsgType>text</MsgType><Content>hi</Content><MsgId>1</MsgId>",
            "<MsgType>text</MsgType><Content>hi</Content><MsgId>2</MsgId>",
            "<MsgType>text</MsgType><Content>hi</Content>",
            "<MsgType>text</MsgType><Content>ho</Content>",
            "<MsgType>image</MsgType><MediaId>1</MediaId>",
            "<MsgType>image</MsgType><MediaId>2</MediaId>",
            "<MsgType>event</MsgType><Event>enter_agent</Event>",
            "<MsgType>event</MsgType><Event>subscribe</Event>",
            "<MsgType>event</MsgType><Event>click</Event><EventKey>a</EventKey>",
            "<MsgType>event</MsgType><Event>click</Event><EventKey>b</EventKey>",
            "<MsgType>event</MsgType><Event>template_card_event</Event><EventKey>a</EventKey><TaskId>1</TaskId>",
            "<MsgType>event</MsgType><Event>template_card_event</Event><EventKey>a</EventKey><TaskId>2</TaskId>",
            "<MsgType>event</MsgType><Event>change_contact</Event><ChangeType>new</ChangeType><UserID>a</UserID>",
            "<MsgType>event</MsgType><Event>change_contact</Event><ChangeType>new</ChangeType><UserID>b</UserID>",
        ];
        let keys = || contents.iter().map(|xml| event_with(xml).dedup).collect::<Vec<_>>();
        assert_eq!(keys(), keys());
        assert_eq!(keys().into_iter().collect::<std::collections::HashSet<_>>().len(), contents.len());
    }

    #[test]
    fn what_is_no_xml_is_refused() {
        assert_eq!(parsed(b"<!DOCTYPE a><xml/>").err(), Some(Rejection::DtdPresent));
        for bad in [&b"{\"MsgType\":\"text\"}"[..], b"<xml>\xC3</xml>", b"<xml><MsgType>text</MsgType>", b""] {
            assert!(matches!(parsed(bad), Err(Rejection::MalformedXml(_))), "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parsed(&bytes);
        }

        #[test]
        fn a_message_cut_or_changed_anywhere_never_panics(cut in 0_usize..300, at in 0_usize..284, to: u8) {
            let mut xml = vector("B").plaintext.into_bytes();
            let cut = cut.min(xml.len());
            prop_assert_eq!(parsed(&xml[..cut]).is_ok(), cut == xml.len());
            xml[at] = to;
            let _ = parsed(&xml);
        }
    }
}
