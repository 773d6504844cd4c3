//! WeCom's console as an administrator meets it after the application was created: nothing is set up yet. The callback
//! has to pass its verification, then addresses can be trusted, and only members in the visible range see the
//! application.
//!
//! An emulator that was started otherwise has no console: everything is set up, as for the tests and the demo.

use std::{net::IpAddr, sync::Arc};

use reqwest::Url;
use serde::Serialize;

use super::{Emulator, State};
use crate::{
    model::id::MemberId,
    sandbox::{
        envelope::Seal,
        journal::{Entry, Kind},
    },
};

/// How many addresses can be trusted (the console's own limit).
const MOST_ADDRESSES: usize = 120;
/// What the console says when the URL does not answer its verification as it should, and nothing more.
const NOT_PASSED: &str = "openapi回调地址请求不通过";

/// What was set up so far.
#[derive(Debug, Default)]
pub(super) struct Console {
    /// The callback that passed its verification, and what its callbacks are sealed with.
    callback: Option<(String, Arc<Seal>)>,
    trusted: Vec<IpAddr>,
    /// Userids as they were entered.
    visible: Vec<String>,
}

/// What the console shows. The secrets are not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsoleView {
    /// 企业ID
    pub corp_id: String,
    /// AgentId
    pub agent_id: u64,
    /// The callback's URL, once it was saved.
    pub callback_url: Option<String>,
    /// 企业可信IP
    pub trusted_ips: Vec<String>,
    /// 可见范围, as userids.
    pub visible: Vec<String>,
}

/// The console did not save it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSaved {
    /// This emulator was started with everything set up.
    #[error("此模拟中一切已经设置好 · everything is set up already")]
    NoConsole,
    /// The URL is none.
    #[error("请输入正确的 URL：以 http:// 或 https:// 开头 · enter a URL with http:// or https://")]
    Url,
    /// The Token or the EncodingAESKey cannot be one.
    #[error("Token 为 1 到 32 个字母或数字，EncodingAESKey 为 43 个 · {0}")]
    Keys(String),
    /// The URL did not give back the decrypted echo within a second. The real console says no more than this.
    #[error("{NOT_PASSED}")]
    NotPassed,
    /// Addresses can only be entered when the callback (or a trusted domain) is set up.
    #[error("请先设置接收消息服务器 URL，再配置企业可信IP · set up the callback URL first")]
    CallbackFirst,
    /// One of them is no address.
    #[error("不是 IP 地址：{0} · not an IP address")]
    Address(String),
    /// There are more than the console takes.
    #[error("最多 {MOST_ADDRESSES} 个 · {MOST_ADDRESSES} at most")]
    TooMany,
    /// One of them cannot be a userid.
    #[error("不是成员账号：{0} · not a userid")]
    Member(String),
}

impl Emulator {
    /// Begins as an application that was just created, visible to `members` and to nobody else.
    pub fn begin_fresh(&self, members: &[&str]) {
        let visible = members.iter().map(|member| (*member).to_owned()).collect();
        self.cloud.state().console = Some(Console { visible, ..Console::default() });
    }

    /// What the console shows; `None` where everything was set up from the start.
    pub fn console(&self) -> Option<ConsoleView> {
        let state = self.cloud.state();
        let console = state.console.as_ref()?;
        let settings = &self.cloud.settings;
        Some(ConsoleView {
            corp_id: settings.corp_id.to_string(),
            agent_id: settings.agent_id.get(),
            callback_url: console.callback.as_ref().map(|(url, _)| url.clone()),
            trusted_ips: console.trusted.iter().map(IpAddr::to_string).collect(),
            visible: console.visible.clone(),
        })
    }

    /// 接收消息 → 保存: verifies the URL and, when it passes, sends callbacks there from now on.
    ///
    /// # Errors
    /// [`NotSaved`]; what was saved before stays.
    pub async fn save_callback(&self, url: &str, token: &str, key: &str) -> Result<(), NotSaved> {
        let (url, token, key) = (url.trim(), token.trim(), key.trim());
        if self.console().is_none() {
            return Err(NotSaved::NoConsole);
        }
        let is_url = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_url {
            return Err(NotSaved::Url);
        }
        let settings = &self.cloud.settings;
        for secret in [token, key] {
            self.cloud.journal.star(secret);
        }
        let seal = Seal::new(settings.corp_id.clone(), settings.agent_id, token, key).map_err(NotSaved::Keys)?;
        if !self.verify_with(url, &seal).await {
            return Err(NotSaved::NotPassed);
        }
        if let Some(console) = &mut self.cloud.state().console {
            console.callback = Some((url.to_owned(), Arc::new(seal)));
        }
        Ok(())
    }

    /// 企业可信IP: takes the whole list, separated by `;`, `,` or white space. Works at once; at WeCom it takes about a
    /// minute.
    ///
    /// # Errors
    /// [`NotSaved`]; the list of before stays.
    pub fn save_trusted_ips(&self, list: &str) -> Result<(), NotSaved> {
        let trusted: Vec<IpAddr> = items(list)
            .map(|item| item.parse().map_err(|_| NotSaved::Address(item.to_owned())))
            .collect::<Result<_, _>>()?;
        if trusted.len() > MOST_ADDRESSES {
            return Err(NotSaved::TooMany);
        }
        self.change(("设置企业可信IP", "set the trusted addresses"), list, |console| {
            if console.callback.is_none() {
                return Err(NotSaved::CallbackFirst);
            }
            console.trusted = trusted;
            Ok(())
        })
    }

    /// 可见范围: takes the whole list of userids, separated as the addresses are.
    ///
    /// # Errors
    /// [`NotSaved`]; the list of before stays.
    pub fn save_visible(&self, list: &str) -> Result<(), NotSaved> {
        let visible: Vec<String> = items(list)
            .map(|item| match MemberId::parse(item) {
                Ok(member) => Ok(member.as_str().to_owned()),
                Err(_) => Err(NotSaved::Member(item.to_owned())),
            })
            .collect::<Result<_, _>>()?;
        self.change(("设置可见范围", "set the visible range"), list, |console| {
            console.visible = visible;
            Ok(())
        })
    }

    /// Whether `member` can write to the application: it is in the visible range, and there is somewhere to send to.
    pub fn can_write(&self, member: &str) -> bool {
        let state = self.cloud.state();
        state.console.as_ref().is_none_or(|console| console.callback.is_some()) && state.sees(member)
    }

    fn change(
        &self,
        (zh, en): (&str, &str),
        detail: &str,
        with: impl FnOnce(&mut Console) -> Result<(), NotSaved>,
    ) -> Result<(), NotSaved> {
        with(self.cloud.state().console.as_mut().ok_or(NotSaved::NoConsole)?)?;
        self.cloud.journal.record(Entry::new(Kind::Console, zh, en).detail(detail));
        Ok(())
    }
}

impl State {
    /// Whether a call from `from` may reach the data APIs.
    pub(super) fn trusts(&self, from: IpAddr) -> bool {
        self.console.as_ref().is_none_or(|console| console.trusted.contains(&from))
    }

    /// Whether `member` is in the application's visible range.
    pub(super) fn sees(&self, member: &str) -> bool {
        let is_visible = |console: &Console| console.visible.iter().any(|one| one.eq_ignore_ascii_case(member));
        !self.trouble.unknown_members.contains(&member.to_lowercase()) && self.console.as_ref().is_none_or(is_visible)
    }

    /// The userids of the visible range, where there is a console to set it.
    pub(super) fn visible(&self) -> Option<&[String]> {
        self.console.as_ref().map(|console| console.visible.as_slice())
    }

    /// Where callbacks go by the console.
    pub(super) fn saved_callback(&self) -> Option<(String, Arc<Seal>)> {
        self.console.as_ref()?.callback.clone()
    }
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| c.is_whitespace() || matches!(c, ';' | ',' | '；' | '，' | '、' | '|'))
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::{Router, extract::Query, routing::get};
    use serde_json::Value;

    use super::*;
    use crate::{
        clock::Clock,
        model::id::{AgentId, CorpId},
        sandbox::{emulator::EmulatorSettings, serve},
        wecom::crypto::{EncodingAesKey, decrypt},
    };

    const KEY: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";

    async fn fresh() -> Emulator {
        let settings = EmulatorSettings::invent(CorpId::parse("wwdemo").expect("corp id"), AgentId::new(7));
        let emulator = Emulator::start(settings, Clock::System).await.expect("started");
        emulator.begin_fresh(&["Ann"]);
        emulator
    }

    async fn ask(emulator: &Emulator, path: &str) -> Value {
        let url = format!("{}/cgi-bin/{path}", emulator.api_base());
        emulator.cloud.http.get(url).send().await.expect("answered").json().await.expect("JSON")
    }

    /// A daemon that knows `KEY` and believes every signature.
    async fn daemon() -> (crate::sandbox::Served, String) {
        let verify = |Query(query): Query<std::collections::HashMap<String, String>>| async move {
            let key = EncodingAesKey::parse(KEY).expect("key");
            decrypt(&key, &query["echostr"]).map(|decrypted| decrypted.message).unwrap_or_default()
        };
        let served = serve(Router::new().route("/", get(verify).post(|| async {})), 0).await.expect("served");
        let url = format!("http://{}/", served.address);
        (served, url)
    }

    #[tokio::test]
    async fn nothing_is_saved_that_was_not_verified_and_what_was_stays() {
        let emulator = fresh().await;
        let (_daemon, url) = daemon().await;
        let other = format!("{}I", "a".repeat(42));
        let save = async |url: &str, token: &str, key: &str| emulator.save_callback(url, token, key).await;
        assert_eq!(save("127.0.0.1/", "Token", KEY).await, Err(NotSaved::Url));
        assert!(matches!(save(&url, "Token", "short").await, Err(NotSaved::Keys(_))));
        assert_eq!(save(&url, "Token", &other).await, Err(NotSaved::NotPassed));
        assert_eq!(save("http://127.0.0.1:1/", "Token", KEY).await, Err(NotSaved::NotPassed));
        assert!(!emulator.say("Ann", "nowhere to go").await.accepted() && !emulator.can_write("Ann"));

        assert_eq!(save(&url, "Token", KEY).await, Ok(()));
        assert_eq!(save(&url, "Token", &other).await, Err(NotSaved::NotPassed));
        assert_eq!(emulator.console().and_then(|console| console.callback_url), Some(url));
        assert!(emulator.say("Ann", "hello").await.accepted() && emulator.can_write("ann"));
        let shown = serde_json::to_string(&emulator.journal().after(0)).expect("serializes");
        assert!(!shown.contains(KEY) && !shown.contains(&other), "{shown}");
    }

    #[tokio::test]
    async fn data_apis_answer_whom_the_console_trusts_and_gettoken_answers_all() {
        let emulator = fresh().await;
        assert_eq!(emulator.save_trusted_ips("127.0.0.1"), Err(NotSaved::CallbackFirst));
        let secret = emulator.settings().secret.expose().clone();
        let token = ask(&emulator, &format!("gettoken?corpid=wwdemo&corpsecret={secret}")).await;
        assert_eq!(token["errcode"], 0);
        let agent = format!("agent/get?agentid=7&access_token={}", token["access_token"].as_str().expect("token"));
        let refused = ask(&emulator, &agent).await;
        assert_eq!(refused["errcode"], 60020);
        assert!(refused["errmsg"].as_str().is_some_and(|text| text.contains("from ip: 127.0.0.1,")), "{refused}");

        let (_daemon, url) = daemon().await;
        assert_eq!(emulator.save_callback(&url, "Token", KEY).await, Ok(()));
        assert_eq!(emulator.save_trusted_ips("203.0.113.9；::1"), Ok(()));
        assert_eq!(ask(&emulator, &agent).await["errcode"], 60020);
        assert_eq!(emulator.save_trusted_ips("127.0.0.1;x"), Err(NotSaved::Address("x".to_owned())));
        assert_eq!(emulator.save_trusted_ips(&"10.0.0.1 ".repeat(121)), Err(NotSaved::TooMany));
        assert_eq!(emulator.save_trusted_ips("203.0.113.9 127.0.0.1"), Ok(()));
        assert_eq!(emulator.save_visible("Ann, bob"), Ok(()));
        assert_eq!(emulator.save_visible("@all"), Err(NotSaved::Member("@all".to_owned())));
        let seen = ask(&emulator, &agent).await;
        assert_eq!(seen["allow_userinfos"], serde_json::json!({"user": [{"userid": "Ann"}, {"userid": "bob"}]}));
        assert!(emulator.can_write("BOB") && !emulator.can_write("Carl"));
    }

    #[tokio::test]
    async fn where_everything_is_set_up_there_is_no_console() {
        let settings = EmulatorSettings::invent(CorpId::parse("wwdemo").expect("corp id"), AgentId::new(7));
        let emulator = Emulator::start(settings, Clock::System).await.expect("started");
        assert_eq!((emulator.console(), emulator.can_write("anybody")), (None, true));
        assert_eq!(emulator.save_trusted_ips(""), Err(NotSaved::NoConsole));
        assert_eq!(emulator.save_callback("http://127.0.0.1:1/", "T", KEY).await, Err(NotSaved::NoConsole));
    }
}
