//! The way in: WeCom tells the daemon what a member did (page 90238), and checks the callback's URL (page 90930).

use std::{sync::Arc, time::Duration};

use reqwest::{Url, header};

use super::Emulator;
use crate::{
    clock::Timestamp,
    sandbox::{
        envelope::{Envelope, Seal, cdata},
        journal::{Entry, Kind},
        random,
    },
};

/// How long WeCom waits for the answer to a callback.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How often WeCom sends one callback at most.
pub const TRIES: u32 = 3;
/// How long WeCom waits for the echo when the URL is saved.
const ECHO_LIMIT: Duration = Duration::from_secs(1);

/// How much of a message a step's title shows, in characters.
const QUOTED: usize = 40;

/// What became of one callback.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The message's id; events have none.
    pub msg_id: Option<u64>,
    /// Every try, in order.
    pub attempts: Vec<Attempt>,
}

impl Receipt {
    /// Whether the daemon took it: one try was answered with 200.
    pub fn accepted(&self) -> bool {
        self.attempts.iter().any(Attempt::accepted)
    }
}

/// One try.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What came back.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

impl Attempt {
    /// Whether it was answered with 200.
    pub const fn accepted(&self) -> bool {
        matches!(self.outcome, Outcome::Answered { status: 200, .. })
    }
}

/// What came back for a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body: empty, or a passive reply.
        body: String,
    },
    /// Nothing within five seconds.
    TimedOut,
    /// Nobody listened, or the connection broke.
    Unreachable,
}

impl Emulator {
    /// `member` writes `text`. Returns once the daemon has taken it, or WeCom has given up.
    pub async fn say(&self, member: &str, text: &str) -> Receipt {
        let now = self.cloud.clock.now();
        let msg_id = {
            let mut state = self.cloud.state();
            state.line(member.to_owned(), true, "text", text, now);
            state.next_msg_id()
        };
        self.cloud.announce();
        self.say_with(member, text, msg_id, now).await
    }

    /// The same with an id and a time of one's own, so that a message can be said again as the same message. Leaves no
    /// line in the chat.
    pub async fn say_with(&self, member: &str, text: &str, msg_id: u64, create_time: Timestamp) -> Receipt {
        let message = format!("<Content>{}</Content><MsgId>{msg_id}</MsgId>", cdata(text));
        let xml = self.inner_xml(member, create_time, "text", &message);
        let (zh, en) = (format!("{member} 说：{}", quoted(text)), format!("{member} says: {}", quoted(text)));
        let mut receipt = self.deliver(Entry::new(Kind::Callback, zh, en), &xml).await;
        receipt.msg_id = Some(msg_id);
        receipt
    }

    /// An event without parameters, such as `enter_agent` or `subscribe`.
    pub async fn event(&self, member: &str, event: &str) -> Receipt {
        let fields = format!("<Event>{}</Event><EventKey><![CDATA[]]></EventKey>", cdata(event));
        let xml = self.inner_xml(member, self.cloud.clock.now(), "event", &fields);
        let (zh, en) = (format!("{member} 的事件：{event}"), format!("event of {member}: {event}"));
        self.deliver(Entry::new(Kind::Callback, zh, en), &xml).await
    }

    /// A change of the address book (`change_contact`, page 90240), with these fields.
    pub async fn change_contact(&self, change: &str, fields: &[(&str, &str)]) -> Receipt {
        let fields: String = fields.iter().map(|(name, value)| format!("<{name}>{}</{name}>", cdata(value))).collect();
        let event =
            format!("<Event><![CDATA[change_contact]]></Event><ChangeType>{}</ChangeType>{fields}", cdata(change));
        let xml = self.inner_xml("sys", self.cloud.clock.now(), "event", &event);
        let (zh, en) = (format!("通讯录变更：{change}"), format!("the address book changed: {change}"));
        self.deliver(Entry::new(Kind::Callback, zh, en), &xml).await
    }

    /// Any inner XML at all, correctly encrypted and signed. `member` is only for the journal.
    pub async fn raw(&self, member: &str, inner_xml: &str) -> Receipt {
        let (zh, en) = (format!("{member} 的回调"), format!("callback about {member}"));
        self.deliver(Entry::new(Kind::Callback, zh, en), inner_xml).await
    }

    pub(super) async fn deliver(&self, entry: Entry, inner_xml: &str) -> Receipt {
        self.cloud.journal.record(entry.detail(inner_xml));
        let (tries, repeat, pause) = {
            let state = self.cloud.state();
            (TRIES, state.trouble.repeat_callbacks, state.retry_pause)
        };
        let mut attempts = Vec::new();
        for number in 1..=tries {
            let attempt = self.attempt(inner_xml, number).await;
            let accepted = attempt.accepted();
            attempts.push(attempt);
            if accepted && !repeat {
                break;
            }
            if !accepted && number < tries && !pause.is_zero() {
                self.cloud.clock.sleep(pause).await;
            }
        }
        Receipt { msg_id: None, attempts }
    }

    /// What the console does when the URL is saved: whether the daemon gives back exactly what was encrypted for it.
    pub async fn verify_url(&self) -> bool {
        let Some((url, seal)) = self.callback() else { return false };
        self.verify_with(&url, &seal).await
    }

    /// The same for a URL and keys that are not saved.
    pub(super) async fn verify_with(&self, url: &str, seal: &Seal) -> bool {
        // Longer than any integer type: it must be treated as text.
        let echo = format!("{:023}", u64::from_be_bytes(random()));
        let envelope = seal.seal(&echo, self.cloud.clock.now().as_secs());
        let Some(url) = signed_url(url, &envelope, &[("echostr", &envelope.encrypt)]) else { return false };
        let started = self.cloud.clock.now();
        let fetched = async {
            let response = self.cloud.http.get(url.clone()).send().await.ok()?;
            let status = response.status().as_u16();
            Some((status, response.text().await.ok()?))
        };
        let answer = self.cloud.clock.timeout(ECHO_LIMIT, fetched).await.ok().flatten();
        let right = answer.as_ref().is_some_and(|(status, body)| *status == 200 && *body == echo);
        let verdict = if right { ("通过", "passed") } else { ("没有通过", "failed") };
        self.cloud.journal.record(
            Entry::new(
                Kind::Envelope,
                format!("验证回调地址：{}", verdict.0),
                format!("verified the URL: {}", verdict.1),
            )
            .detail(format!("GET {url}\n\n{}", answer.map(|(_, body)| body).unwrap_or_default()))
            .took(self.cloud.clock.now().since(started))
            .failed(!right),
        );
        right
    }

    async fn attempt(&self, inner_xml: &str, number: u32) -> Attempt {
        let started = self.cloud.clock.now();
        let unreachable = Attempt { outcome: Outcome::Unreachable, took: Duration::ZERO };
        let Some((url, seal)) = self.callback() else { return unreachable };
        let envelope = seal.seal(inner_xml, started.as_secs());
        let body = seal.body(&envelope);
        let Some(url) = signed_url(&url, &envelope, &[]) else { return unreachable };
        let (zh, en) = match number {
            1 => ("加密、签名并送出".to_owned(), "encrypted, signed and sent".to_owned()),
            _ => (format!("第 {number} 次送出同一回调"), format!("sent the same callback, try {number}")),
        };
        self.cloud.journal.record(Entry::new(Kind::Envelope, zh, en).detail(format!("POST {url}\n\n{body}")));

        let posted = async {
            let request = self.cloud.http.post(url).header(header::CONTENT_TYPE, "text/xml");
            let response = request.header(header::USER_AGENT, "Mozilla/4.0").body(body).send().await?;
            let status = response.status().as_u16();
            Ok::<_, reqwest::Error>((status, response.text().await?))
        };
        let outcome = match self.cloud.clock.timeout(ANSWER_LIMIT, posted).await {
            Ok(Ok((status, body))) => Outcome::Answered { status, body },
            Ok(Err(_)) => Outcome::Unreachable,
            Err(_) => Outcome::TimedOut,
        };
        let attempt = Attempt { outcome, took: self.cloud.clock.now().since(started) };
        let (zh, en, detail) = match &attempt.outcome {
            Outcome::Answered { status: 200, body } => {
                ("企伴收下了（HTTP 200）".to_owned(), "Qimate took it (HTTP 200)".to_owned(), body.clone())
            }
            Outcome::Answered { status, body } => {
                (format!("企伴应答 HTTP {status}"), format!("Qimate answered HTTP {status}"), body.clone())
            }
            Outcome::TimedOut => ("企伴 5 秒内没有应答".to_owned(), "no answer within 5 s".to_owned(), String::new()),
            Outcome::Unreachable => ("连不上企伴".to_owned(), "Qimate cannot be reached".to_owned(), String::new()),
        };
        let entry = Entry::new(Kind::Acknowledged, zh, en).detail(detail);
        self.cloud.journal.record(entry.took(attempt.took).failed(!attempt.accepted()));
        attempt
    }

    /// Where callbacks go, and what they are sealed with.
    fn callback(&self) -> Option<(String, Arc<Seal>)> {
        let state = self.cloud.state();
        if state.console.is_some() {
            return state.saved_callback();
        }
        Some((state.callback_url.clone()?, Arc::clone(&self.cloud.seal)))
    }

    pub(super) fn inner_xml(&self, member: &str, create_time: Timestamp, msgtype: &str, fields: &str) -> String {
        let super::EmulatorSettings { corp_id, agent_id, .. } = &self.cloud.settings;
        let (to, from, msgtype) = (cdata(corp_id.as_str()), cdata(member), cdata(msgtype));
        format!(
            "<xml><ToUserName>{to}</ToUserName><FromUserName>{from}</FromUserName>\
             <CreateTime>{}</CreateTime><MsgType>{msgtype}</MsgType>{fields}<AgentID>{agent_id}</AgentID></xml>",
            create_time.as_secs()
        )
    }
}

fn signed_url(base: &str, envelope: &Envelope, more: &[(&str, &str)]) -> Option<Url> {
    let Envelope { msg_signature, timestamp, nonce, .. } = envelope;
    let signed = [("msg_signature", msg_signature.as_str()), ("timestamp", timestamp), ("nonce", nonce)];
    Url::parse_with_params(base, signed.iter().chain(more)).ok()
}

/// The beginning of a text, on one line.
fn quoted(text: &str) -> String {
    let mut quote: String = text.chars().take(QUOTED).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(QUOTED).is_some() {
        quote.push('…');
    }
    quote
}
