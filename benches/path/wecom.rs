//! WeCom, as far as speed needs it: callbacks made in advance, and an API that takes everything.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context;
use qimate::wecom::crypto::{self, CallbackToken, EncodingAesKey};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::http::{Incoming, find};

const CORP: &str = "ww1436e0e65a779aee";
const AGENT: &str = "1000002";
const SECRET: &str = "gLLf3eGd0gFiVCXnHqHXFG28mMOnCM4mJZ0dNNlOa0k";
const CALLBACK_TOKEN: &str = "QDG6eKbenchmarks";
const ENCODING_AES_KEY: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
/// Where the daemon takes callbacks by default.
pub(crate) const CALLBACK_PATH: &str = "/wxcomapp";

/// The variables by which the daemon knows this application.
pub(crate) fn variables() -> [(&'static str, &'static str); 5] {
    [
        ("QIMATE_WECOM__CORP_ID", CORP),
        ("QIMATE_WECOM__AGENT_ID", AGENT),
        ("QIMATE_WECOM__SECRET", SECRET),
        ("QIMATE_WECOM__CALLBACK_TOKEN", CALLBACK_TOKEN),
        ("QIMATE_WECOM__ENCODING_AES_KEY", ENCODING_AES_KEY),
    ]
}

/// Makes callbacks: whole HTTP requests, encrypted and signed, to be written as they are.
#[derive(Debug)]
pub(crate) struct Sealer {
    token: CallbackToken,
    key: EncodingAesKey,
    made: u64,
}

impl Sealer {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (token, key) = (CallbackToken::parse(CALLBACK_TOKEN)?, EncodingAesKey::parse(ENCODING_AES_KEY)?);
        Ok(Self { token, key, made: 0 })
    }

    /// A member asks.
    pub(crate) fn question(&mut self, member: &str, text: &str) -> Vec<u8> {
        let message_id = 7_200_000_000_000_000_000 + self.made;
        self.seal(&format!(
            "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[{member}]]></FromUserName>\
             <CreateTime>{}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{text}]]></Content>\
             <MsgId>{message_id}</MsgId><AgentID>{AGENT}</AgentID></xml>",
            epoch_secs()
        ))
    }

    /// A member opens the application, which is kept and, without a welcome, needs no answer.
    pub(crate) fn opened(&mut self, member: &str) -> Vec<u8> {
        self.seal(&format!(
            "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[{member}]]></FromUserName>\
             <CreateTime>{}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[enter_agent]]></Event>\
             <EventKey></EventKey><AgentID>{AGENT}</AgentID></xml>",
            epoch_secs()
        ))
    }

    fn seal(&mut self, xml: &str) -> Vec<u8> {
        self.made += 1;
        let mut random = [7; 16];
        random[..8].copy_from_slice(&self.made.to_be_bytes());
        let (timestamp, nonce) = (epoch_secs().to_string(), (1_000_000_000 + self.made).to_string());
        let encrypt = crypto::encrypt(&self.key, CORP, xml.as_bytes(), random);
        let signature = crypto::signature(&self.token, &timestamp, &nonce, &encrypt);
        let body = format!(
            "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt>\
             <AgentID><![CDATA[{AGENT}]]></AgentID></xml>"
        );
        let head = format!(
            "POST {CALLBACK_PATH}?msg_signature={signature}&timestamp={timestamp}&nonce={nonce} HTTP/1.1\r\n\
             host: qimate.example\r\nuser-agent: Mozilla/4.0\r\naccept: */*\r\ncontent-type: text/xml\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        (head + &body).into_bytes()
    }
}

/// A message that arrived at WeCom.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// When its request had come in whole.
    pub(crate) at: Instant,
    /// The request, head and body.
    pub(crate) request: Vec<u8>,
}

impl Arrived {
    /// Whether the message holds this text. What is asked for needs no escapes in JSON.
    pub(crate) fn holds(&self, text: &str) -> bool {
        find(&self.request, text.as_bytes()).is_some()
    }
}

/// WeCom's API: `gettoken` and `message/send`, each answered after a while.
#[derive(Debug)]
pub(crate) struct WecomApi {
    address: SocketAddr,
    delay: Duration,
    chats: Mutex<HashMap<String, mpsc::UnboundedSender<Arrived>>>,
}

impl WecomApi {
    /// Takes calls, and answers each after `delay`.
    pub(crate) async fn start(delay: Duration) -> anyhow::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = Arc::new(Self { address: listener.local_addr()?, delay, chats: Mutex::default() });
        let serving = Arc::clone(&api);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).converse(stream));
            }
        });
        Ok(api)
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What arrives for `member` from now on.
    pub(crate) fn chat(&self, member: &str) -> mpsc::UnboundedReceiver<Arrived> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.chats.lock().unwrap_or_else(PoisonError::into_inner).insert(member.to_owned(), sender);
        receiver
    }

    async fn converse(self: Arc<Self>, stream: TcpStream) -> io::Result<()> {
        let mut incoming = Incoming::new(stream)?;
        while let Some(request) = incoming.next().await? {
            let at = Instant::now();
            let is_send = request.starts_with(b"POST /cgi-bin/message/send");
            if is_send {
                self.arrived(Arrived { at, request: request.to_vec() });
            }
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            let body = if is_send {
                r#"{"errcode":0,"errmsg":"ok","invaliduser":"","msgid":"iLpFZ3nM0aVYwyYmUF2ZRYtvCCLxuXVPoQ_bench"}"#
            } else {
                r#"{"errcode":0,"errmsg":"ok","access_token":"bench-access-token-of-some-length-0123456789","expires_in":7200}"#
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=UTF-8\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            incoming.answer(answer.as_bytes()).await?;
        }
        Ok(())
    }

    fn arrived(&self, message: Arrived) {
        let member = recipient(&message.request).unwrap_or_default();
        let chats = self.chats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chat) = chats.get(member) {
            // Whoever asked may have seen enough.
            let _ = chat.send(message);
        }
    }
}

fn recipient(request: &[u8]) -> Option<&str> {
    const KEY: &[u8] = b"\"touser\":\"";
    let after = &request[find(request, KEY)? + KEY.len()..];
    str::from_utf8(&after[..find(after, b"\"")?]).ok()
}

fn epoch_secs() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

/// The next message of a chat.
pub(crate) async fn next(chat: &mut mpsc::UnboundedReceiver<Arrived>) -> anyhow::Result<Arrived> {
    chat.recv().await.context("WeCom has gone")
}
