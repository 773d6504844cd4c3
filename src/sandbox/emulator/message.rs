//! What one `message/send` request may say (page 90236), and how WeCom refuses (page 90313).

use serde_json::Value;

use super::card;
use crate::model::id::AgentId;

/// The longest content in bytes; the rest is cut without a word.
pub const CONTENT_LIMIT: usize = 2048;
/// How far back the duplicate check looks where the request does not say: seconds.
const DUPLICATE_INTERVAL: u64 = 1800;
/// How far back it can look at most: seconds.
const LONGEST_DUPLICATE_INTERVAL: u64 = 4 * 3600;

/// WeCom's "no", by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub i64);

impl Refusal {
    /// The words that stand before the hint.
    pub const fn text(self) -> &'static str {
        match self.0 {
            -1 => "system busy",
            40001 => "invalid credential",
            40004 => "invalid media type",
            40006 => "invalid file size",
            40007 => "invalid media_id",
            40008 => "invalid message type",
            40013 => "invalid corpid",
            40014 => "invalid access_token",
            40016 => "invalid button size",
            40033 => "invalid request character",
            40035 => "invalid parameter",
            40056 => "invalid agentid",
            40058 => "invalid Request Parameter",
            41001 => "access_token missing",
            41002 => "corpid missing",
            41004 => "corpsecret missing",
            41005 => "media data missing",
            41006 => "media_id missing",
            41011 => "agentid missing",
            42001 => "access_token expired",
            44004 => "content size out of limit, or empty content",
            45001 => "media size out of limit",
            45009 => "api freq out of limit",
            45033 => "api concurrent out of limit",
            46003 => "menu no exist",
            48002 => "api forbidden",
            50003 => "agent disabled",
            60011 => "no privilege to access/modify contact/party/agent",
            60020 => "not allow to access from your ip",
            60111 => "userid not found",
            81013 => "user & party & tag all invalid",
            82001 => "all touser & toparty & totag empty",
            830002 => "file size exceeds limit, fetch it in ranges",
            301002 => "not allow operate another agent with this accesstoken",
            _ => "request refused",
        }
    }
}

/// A request that WeCom would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SendRequest {
    pub(super) to: Vec<String>,
    pub(super) msgtype: String,
    /// Of a file its id, of a card its JSON.
    pub(super) content: String,
    /// Whether `content` was longer.
    pub(super) cut: bool,
    /// Seconds that the duplicate check looks back, where it is asked for.
    pub(super) duplicate_check: Option<u64>,
}

impl SendRequest {
    /// Whether it shows something that was uploaded.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.msgtype.as_str(), "image" | "voice" | "file")
    }

    /// Reads the body of a call for `agent`.
    pub(super) fn parse(body: &[u8], agent: AgentId) -> Result<Self, Refusal> {
        if has_unicode_escape(body) {
            return Err(Refusal(40033));
        }
        let request: Value = serde_json::from_slice(body).map_err(|_| Refusal(40058))?;
        let request = request.as_object().ok_or(Refusal(40058))?;

        let to = match request.get("touser") {
            None | Some(Value::Null) => "",
            Some(Value::String(to)) => to,
            // A list instead of `a|b`.
            Some(_) => return Err(Refusal(40035)),
        };
        let to: Vec<_> = to.split('|').map(str::trim).filter(|to| !to.is_empty()).map(str::to_owned).collect();
        if to.is_empty() {
            return Err(Refusal(82001));
        }
        match request.get("agentid") {
            None => return Err(Refusal(41011)),
            // "1000002" is as wrong as no number at all.
            Some(id) => match id.as_u64() {
                None => return Err(Refusal(40056)),
                Some(id) if id != agent.get() => return Err(Refusal(301002)),
                Some(_) => {}
            },
        }
        let msgtype = request.get("msgtype").and_then(Value::as_str).unwrap_or_default();
        let part = request.get(msgtype);
        let (shown, cut) = match msgtype {
            "text" | "markdown" => {
                let content = part.and_then(|part| part.get("content")).ok_or(Refusal(44004))?;
                let content = content.as_str().ok_or(Refusal(40035))?;
                if content.trim().is_empty() {
                    return Err(Refusal(44004));
                }
                let shown = &content[..content.floor_char_boundary(CONTENT_LIMIT)];
                (shown.to_owned(), shown.len() < content.len())
            }
            "image" | "voice" | "file" => {
                let media_id = part.and_then(|part| part["media_id"].as_str()).ok_or(Refusal(41006))?;
                (media_id.to_owned(), false)
            }
            "template_card" => (card::check(part)?, false),
            _ => return Err(Refusal(40008)),
        };

        let asked = request.get("enable_duplicate_check").and_then(Value::as_u64) == Some(1);
        let interval = request.get("duplicate_check_interval").and_then(Value::as_u64).unwrap_or(DUPLICATE_INTERVAL);
        Ok(Self {
            to,
            msgtype: msgtype.to_owned(),
            content: shown,
            cut,
            duplicate_check: asked.then_some(interval.min(LONGEST_DUPLICATE_INTERVAL)),
        })
    }
}

/// Whether the JSON text holds a `\u` escape: WeCom wants characters as they are.
fn has_unicode_escape(body: &[u8]) -> bool {
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        // What follows a backslash is taken out with it, so that `\\u` is no escape.
        if *byte == b'\\' && bytes.next() == Some(&b'u') {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<SendRequest, Refusal> {
        SendRequest::parse(body.as_bytes(), AgentId::new(7))
    }

    #[test]
    fn each_fault_has_its_errcode() {
        let cases = [
            ("not json", 40058),
            ("[]", 40058),
            (r#"{"msgtype":"text","agentid":7,"text":{"content":"a"}}"#, 82001),
            (r#"{"touser":"|","msgtype":"text","agentid":7,"text":{"content":"a"}}"#, 82001),
            (r#"{"touser":["a"],"msgtype":"text","agentid":7,"text":{"content":"a"}}"#, 40035),
            (r#"{"touser":"a","msgtype":"text","text":{"content":"a"}}"#, 41011),
            (r#"{"touser":"a","msgtype":"text","agentid":"7","text":{"content":"a"}}"#, 40056),
            (r#"{"touser":"a","msgtype":"text","agentid":8,"text":{"content":"a"}}"#, 301002),
            (r#"{"touser":"a","msgtype":"markdown_v2","agentid":7,"markdown_v2":{"content":"a"}}"#, 40008),
            (r#"{"touser":"a","agentid":7,"text":{"content":"a"}}"#, 40008),
            (r#"{"touser":"a","msgtype":"text","agentid":7,"text":{"content":" \n"}}"#, 44004),
            (r#"{"touser":"a","msgtype":"text","agentid":7,"markdown":{"content":"a"}}"#, 44004),
            (r#"{"touser":"a","msgtype":"text","agentid":7,"text":{"content":1}}"#, 40035),
            (r#"{"touser":"a","msgtype":"text","agentid":7,"text":{"content":"\u4f60"}}"#, 40033),
        ];
        for (body, errcode) in cases {
            assert_eq!(parse(body), Err(Refusal(errcode)), "{body}");
        }
    }

    #[test]
    fn a_backslash_before_a_u_is_no_escape() {
        let request = parse(r#"{"touser":"a|B","msgtype":"text","agentid":7,"text":{"content":"C:\\users"}}"#);
        let request = request.expect("taken");
        assert_eq!((request.content.as_str(), request.to), (r"C:\users", vec!["a".to_owned(), "B".to_owned()]));
        assert_eq!(request.duplicate_check, None);
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_the_interval_is_bounded() {
        let body = serde_json::json!({
            "touser": "a", "msgtype": "markdown", "agentid": 7, "markdown": {"content": "字".repeat(700)},
            "enable_duplicate_check": 1, "duplicate_check_interval": 99_999,
        });
        let request = parse(&body.to_string()).expect("taken");
        assert_eq!((request.content, request.cut), ("字".repeat(682), true));
        assert_eq!(request.duplicate_check, Some(14_400));
    }
}
