//! Calls WeCom's API in the application's name.
//!
//! Knows what one call can come to, and nothing of queues: whether and when to try again is the caller's, and
//! [`SendError`] says what it can do. To call another API, add a method beside [`Client::send`].

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use super::{
    answer::{Outcome, Refusal, Trouble, ask},
    errcode::{Class, Errcode, SLOW_DOWN},
    message::{Content, Message},
    token::{AccessToken, AccessTokens, TokenError},
};
use crate::{
    clock::Clock,
    config,
    metrics::Metrics,
    model::id::{AgentId, MemberId},
    net::link::Way,
};

/// WeCom's API, as one application sees it. Clones are the same: their access token serves everybody.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) http: reqwest::Client,
    pub(super) api_base: String,
    send_url: String,
    pub(super) timeout: Duration,
    pub(super) clock: Clock,
    metrics: Arc<Metrics>,
    pub(super) agent: AgentId,
    pub(super) way: Way,
    pub(super) tokens: Arc<AccessTokens>,
}

/// WeCom took a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// WeCom's name for the message.
    pub msg_id: String,
    /// Who does not get it although it was taken, in lower case: gone, or outside the visible range.
    pub invalid_users: Vec<String>,
}

/// A message was not taken, as far as we know. What to do about it:
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Let nobody of the application send for a while. This message was not delivered.
    #[error("WeCom wants fewer calls (errcode {errcode}); again in {} s", after.as_secs())]
    SlowDown {
        /// How long at least. WeCom's block may last up to an hour: wait longer when it comes again.
        after: Duration,
        /// What WeCom said.
        errcode: Errcode,
    },
    /// Try again a few times. This message was not delivered.
    #[error("WeCom is busy (errcode {errcode})")]
    Busy {
        /// What WeCom said.
        errcode: Errcode,
    },
    /// Try again a few times, then give up. WeCom refused this message for a reason that this version does not know.
    #[error("WeCom refuses the message for a reason that this version does not know (errcode {})", refusal.errcode)]
    Unknown {
        /// What WeCom said.
        refusal: Refusal,
    },
    /// Try again. The request did not leave, so this message was not delivered.
    #[error("WeCom could not be reached")]
    Unreachable {
        /// What happened.
        #[source]
        cause: Arc<Trouble>,
    },
    /// Try again with the same content: the message may have been delivered, and then WeCom's duplicate check keeps
    /// the second one back.
    #[error("WeCom gave no answer that tells whether the message was taken")]
    Unsure {
        /// What happened.
        #[source]
        cause: Trouble,
    },
    /// Tell the administrator to enter the address in WeCom's console; try again later.
    #[error(
        "WeCom does not trust the address {} (errcode 60020); enter it under 应用管理 → the app → 企业可信IP",
        address.as_deref().unwrap_or("we call from")
    )]
    IpRefused {
        /// The address that WeCom saw.
        address: Option<String>,
    },
    /// Tell the administrator; try again later.
    #[error(
        "WeCom refuses the application (errcode {}); {}",
        refusal.errcode,
        refusal.errcode.remedy().unwrap_or_default()
    )]
    Misconfigured {
        /// What WeCom said; `errcode.remedy()` says where to mend it.
        refusal: Refusal,
    },
    /// Give up on this message: the member is gone or outside the application's visible range.
    #[error("WeCom knows no such recipient for this application (errcode {errcode})")]
    BadRecipient {
        /// What WeCom said.
        errcode: Errcode,
    },
    /// Give up on this message: WeCom will never take its content.
    #[error("WeCom refuses the message (errcode {})", refusal.errcode)]
    Refused {
        /// What WeCom said.
        refusal: Refusal,
    },
}

impl SendError {
    /// Whether it is sure that nothing was delivered.
    pub const fn is_sure(&self) -> bool {
        !matches!(self, Self::Unsure { .. })
    }
}

impl From<Refusal> for SendError {
    fn from(refusal: Refusal) -> Self {
        let errcode = refusal.errcode;
        match errcode.class() {
            Class::SlowDown => Self::SlowDown { after: SLOW_DOWN, errcode },
            // A fresh access token that is stale again is WeCom's trouble with everybody's messages.
            Class::TokenStale => Self::SlowDown { after: SLOW_DOWN, errcode },
            Class::Busy | Class::Ok => Self::Busy { errcode },
            Class::Unknown => Self::Unknown { refusal },
            Class::IpRefused => Self::IpRefused { address: refusal.address },
            Class::Misconfigured => Self::Misconfigured { refusal },
            Class::BadRecipient => Self::BadRecipient { errcode },
            Class::BadMessage | Class::BadMedia | Class::Elsewhere => Self::Refused { refusal },
        }
    }
}

impl From<TokenError> for SendError {
    /// Without an access token nothing was sent, whatever the trouble was.
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Unreachable(cause) => Self::Unreachable { cause },
            // And whatever the reason is, it is none of the message's: it waits.
            TokenError::Refused(refusal) => match refusal.errcode.class() {
                Class::SlowDown | Class::TokenStale | Class::Busy | Class::IpRefused => refusal.into(),
                _ => Self::Misconfigured { refusal },
            },
        }
    }
}

impl From<Trouble> for SendError {
    fn from(cause: Trouble) -> Self {
        if cause.was_sent() { Self::Unsure { cause } } else { Self::Unreachable { cause: Arc::new(cause) } }
    }
}

#[derive(Deserialize)]
struct SendAnswer {
    #[serde(flatten)]
    outcome: Outcome,
    #[serde(default)]
    msgid: String,
    /// Userids with `|` between them.
    #[serde(default)]
    invaliduser: String,
}

impl Client {
    /// For the application in `settings`, over `http`, which already knows the proxy. Calls nobody yet.
    pub fn new(http: reqwest::Client, settings: &config::Wecom, clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self {
            api_base: settings.api_base.clone(),
            send_url: format!("{}/cgi-bin/message/send", settings.api_base),
            timeout: settings.timeout,
            agent: settings.agent_id,
            way: Way::new(&settings.api_base, settings.proxy.as_ref()),
            tokens: Arc::new(AccessTokens::new(http.clone(), settings, clock.clone(), Arc::clone(&metrics))),
            http,
            clock,
            metrics,
        }
    }

    /// Sends `content` to the member `to`, once, as the application `agent`. Where WeCom does not take the access token any more, a new one is
    /// fetched and the same is posted again; nothing else is repeated.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, agent: AgentId, to: &MemberId, content: &Content<'_>) -> Result<Delivered, SendError> {
        let message = Message::new(agent, to, content);
        let mut access_token = self.tokens.get().await?;
        let mut answer = self.post(&access_token, &message).await?;
        if answer.outcome.class() == Class::TokenStale {
            self.tokens.invalidate(&access_token);
            access_token = self.tokens.get().await?;
            answer = self.post(&access_token, &message).await?;
        }
        if let Some(refusal) = answer.outcome.refusal(access_token.expose()) {
            return Err(refusal.into());
        }
        let invalid_users = answer.invaliduser.split('|').filter(|id| !id.is_empty()).map(str::to_owned).collect();
        Ok(Delivered { msg_id: answer.msgid, invalid_users })
    }

    async fn post(&self, access_token: &AccessToken, message: &Message<'_>) -> Result<SendAnswer, Trouble> {
        let query = [("access_token", access_token.expose())];
        let request = self.http.post(&self.send_url).query(&query).json(message);
        let answer: Result<SendAnswer, Trouble> = ask(&self.clock, self.timeout, request).await;
        match &answer {
            Ok(answer) => self.metrics.send_answered(answer.outcome.errcode().documented()),
            Err(trouble) if trouble.was_sent() => self.metrics.send_unsure(),
            Err(_) => self.metrics.send_unreachable(),
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        clock::{ManualClock, Timestamp},
        model::reply::Format,
        wecom::fake::{FakeWecom, Reply},
    };

    struct Setting {
        wecom: FakeWecom,
        clock: ManualClock,
        client: Client,
    }

    impl Setting {
        async fn new() -> Self {
            let wecom = FakeWecom::start().await;
            let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
            let client = Client::new(wecom.http(), &wecom.settings(), Clock::Manual(clock.clone()), Arc::default());
            Self { wecom, clock, client }
        }

        async fn say(&self, content: &Content<'_>) -> Result<Delivered, SendError> {
            let to = MemberId::parse("ZhangSan").expect("member");
            self.client.send(self.wecom.settings().agent_id, &to, content).await
        }

        async fn send(&self) -> Result<Delivered, SendError> {
            self.say(&Content::words(Format::Text, "你好")).await
        }

        /// What comes of a `message/send` that is answered with `reply`.
        async fn sent(&self, reply: Reply) -> SendError {
            self.wecom.next_send(reply);
            self.send().await.expect_err("refused")
        }
    }

    #[tokio::test]
    async fn a_message_is_posted_and_its_answer_is_read() {
        let setting = Setting::new().await;
        let partly = json!({"errcode": 0, "errmsg": "ok", "msgid": "m1", "invaliduser": "zhangsan|lisi"});
        setting.wecom.next_send(Reply::Json(partly));
        let delivered = setting.send().await.expect("delivered");
        assert_eq!(delivered.msg_id, "m1");
        assert_eq!(delivered.invalid_users, ["zhangsan", "lisi"]);
        assert_eq!(setting.send().await.expect("delivered").invalid_users, [""; 0]);

        let posts = setting.wecom.posts();
        assert_eq!((posts[0].access_token.as_str(), setting.wecom.gettokens()), ("T1", 1));
        assert!(posts[0].body.contains("\"content\":\"你好\""), "{}", posts[0].body);
        assert_eq!(posts[0], posts[1]);
    }

    #[tokio::test]
    async fn a_stale_access_token_is_replaced_once_and_the_message_repeated_once() {
        for errcode in [40014, 42001] {
            let setting = Setting::new().await;
            setting.wecom.next_send(Reply::errcode(errcode));
            setting.send().await.expect("delivered");
            let tokens: Vec<_> = setting.wecom.posts().into_iter().map(|post| post.access_token).collect();
            assert_eq!(tokens, ["T1", "T2"], "{errcode}");

            setting.wecom.next_send(Reply::errcode(errcode));
            let error = setting.sent(Reply::errcode(errcode)).await;
            assert!(matches!(error, SendError::SlowDown { .. }), "{error:?}");
            assert_eq!((setting.wecom.posts().len(), setting.wecom.gettokens()), (4, 3), "{errcode}");
        }
    }

    /// Whatever `gettoken` says, it says it of the application: no message is given up for it.
    #[tokio::test]
    async fn a_refused_access_token_is_never_held_against_a_message() {
        for errcode in [40001, 42009, 46004, 50002, 610_001] {
            let setting = Setting::new().await;
            setting.wecom.next_gettoken(Reply::errcode(errcode));
            let error = setting.send().await.expect_err("no token");
            assert!(matches!(error, SendError::Misconfigured { .. }), "{errcode}: {error:?}");
            assert!(setting.send().await.is_err(), "{errcode}: it stands for a while");
            assert_eq!((setting.wecom.gettokens(), setting.wecom.posts().len()), (1, 0), "{errcode}");
        }
    }

    #[tokio::test]
    async fn each_errcode_becomes_what_the_caller_can_do() {
        let setting = Setting::new().await;
        let name = |error: &SendError| match error {
            SendError::SlowDown { after, .. } => format!("slow down {} s", after.as_secs()),
            SendError::Misconfigured { refusal } => format!("misconfigured {}", refusal.errcode),
            SendError::IpRefused { address } => format!("ip {}", address.as_deref().unwrap_or("unknown")),
            SendError::Busy { errcode } => format!("busy {errcode}"),
            SendError::Unknown { refusal } => format!("unknown {}", refusal.errcode),
            SendError::BadRecipient { errcode } => format!("recipient {errcode}"),
            SendError::Refused { refusal } => format!("refused {}", refusal.errcode),
            SendError::Unreachable { .. } | SendError::Unsure { .. } => "trouble".to_owned(),
        };
        let cases = [
            (45009, "slow down 60 s"),
            (45033, "busy 45033"),
            (987_654, "unknown 987654"),
            (48002, "misconfigured 48002"),
            (81013, "recipient 81013"),
            (85002, "refused 85002"),
            (60020, "ip 203.0.113.9"),
        ];
        for (errcode, expected) in cases {
            let error = setting.sent(Reply::errcode(errcode)).await;
            assert_eq!(name(&error), expected);
            assert!(error.is_sure(), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_not_wecoms_leaves_it_unsure() {
        let setting = Setting::new().await;
        let unsure = [
            Reply::Status(500),
            Reply::Status(302),
            Reply::Text("<html>Log in</html>"),
            Reply::Text("{}"),
            Reply::Json(json!({"errcode": "0"})),
            Reply::Reset,
            Reply::Endless,
        ];
        for reply in unsure {
            let shown = format!("{reply:?}");
            let error = setting.sent(reply).await;
            assert!(matches!(error, SendError::Unsure { .. }), "{shown}: {error:?}");
            assert!(!error.is_sure());
            assert!(!format!("{error:?}").contains("access_token"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn silence_ends_at_the_timeout_and_leaves_it_unsure() {
        let setting = Setting::new().await;
        setting.wecom.next_send(Reply::Hang);
        let patience = async {
            setting.wecom.saw_posts(1).await;
            setting.clock.advance(setting.wecom.settings().timeout);
        };
        let (outcome, ()) = tokio::join!(setting.send(), patience);
        assert!(matches!(outcome, Err(SendError::Unsure { cause: Trouble::TimedOut(_) })), "{outcome:?}");
    }

    #[tokio::test]
    async fn what_never_left_was_surely_not_delivered() {
        let mut setting = Setting::new().await;
        setting.wecom.next_gettoken(Reply::Reset);
        let error = setting.send().await.expect_err("no access token");
        assert!(matches!(error, SendError::Unreachable { .. }) && error.is_sure(), "{error:?}");

        setting.client.send_url = format!("{}/cgi-bin/message/send", FakeWecom::nowhere().await);
        let error = setting.send().await.expect_err("nobody there");
        assert!(matches!(error, SendError::Unreachable { .. }) && error.is_sure(), "{error:?}");
        assert_eq!(setting.wecom.gettokens(), 2);
    }
}
