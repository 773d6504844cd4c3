use std::{error::Error, sync::Arc};

use futures_util::future::join_all;
use serde_json::json;

use super::*;
use crate::{
    clock::ManualClock,
    wecom::{
        errcode::Errcode,
        fake::{FakeWecom, Reply, SECRET},
    },
};

struct Setting {
    wecom: FakeWecom,
    clock: ManualClock,
    tokens: Arc<AccessTokens>,
}

impl Setting {
    async fn new() -> Self {
        let wecom = FakeWecom::start().await;
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let tokens = AccessTokens::new(wecom.http(), &wecom.settings(), Clock::Manual(clock.clone()), Arc::default());
        Self { wecom, clock, tokens: Arc::new(tokens) }
    }

    fn pass(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    async fn get(&self) -> String {
        self.tokens.get().await.expect("an access token").expose().to_owned()
    }

    /// Fifty callers at once, of whom each has got as far as it can when WeCom's gate opens.
    async fn fifty_at_once(&self) -> Vec<Result<AccessToken, TokenError>> {
        self.wecom.gettoken_waits();
        let callers = (0..50).map(|_| {
            let tokens = Arc::clone(&self.tokens);
            tokio::spawn(async move { tokens.get().await })
        });
        let callers: Vec<_> = callers.collect();
        self.wecom.saw_gettoken(self.wecom.gettokens() + 1).await;
        self.wecom.gettoken_goes_on();
        join_all(callers).await.into_iter().map(|joined| joined.expect("no panic")).collect()
    }
}

#[tokio::test]
async fn fifty_callers_cause_one_request() {
    let setting = Setting::new().await;
    for outcome in setting.fifty_at_once().await {
        assert_eq!(outcome.expect("an access token").expose(), "T1");
    }
    assert_eq!(setting.wecom.gettokens(), 1);
}

#[tokio::test]
async fn fifty_callers_share_one_failure_and_a_later_one_asks_again() {
    let setting = Setting::new().await;
    setting.wecom.next_gettoken(Reply::Status(502));
    for outcome in setting.fifty_at_once().await {
        assert!(matches!(outcome, Err(TokenError::Unreachable(_))));
    }
    assert_eq!(setting.wecom.gettokens(), 1);
    assert_eq!(setting.get().await, "T2");
}

#[tokio::test]
async fn an_ageing_access_token_is_renewed_by_one_while_the_others_use_it() {
    let setting = Setting::new().await;
    assert_eq!(setting.get().await, "T1");
    setting.pass(7200 - 301);
    assert_eq!(setting.get().await, "T1");
    assert_eq!(setting.wecom.gettokens(), 1);

    setting.pass(1);
    let outcomes = setting.fifty_at_once().await;
    let got: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().expect("token").expose()).collect();
    assert_eq!(got.iter().filter(|token| **token == "T1").count(), 49);
    assert_eq!(got.iter().filter(|token| **token == "T2").count(), 1);
    assert_eq!((setting.get().await.as_str(), setting.wecom.gettokens()), ("T2", 2));
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_old_one_until_it_ends() {
    let setting = Setting::new().await;
    assert_eq!(setting.get().await, "T1");
    setting.pass(7000);
    for (wait, gettokens) in [(0, 2), (29, 2), (1, 3)] {
        setting.wecom.next_gettoken(Reply::Status(502));
        setting.pass(wait);
        assert_eq!((setting.get().await.as_str(), setting.wecom.gettokens()), ("T1", gettokens), "after {wait} s");
    }
    setting.pass(200);
    assert!(matches!(setting.tokens.get().await, Err(TokenError::Unreachable(_))));
    assert_eq!(setting.get().await, "T5");
}

#[tokio::test]
async fn a_short_life_is_obeyed_and_renewed_a_tenth_before_its_end() {
    let setting = Setting::new().await;
    let short = json!({"errcode": 0, "errmsg": "ok", "access_token": "short", "expires_in": 100});
    setting.wecom.next_gettoken(Reply::Json(short));
    assert_eq!(setting.get().await, "short");
    setting.pass(89);
    assert_eq!(setting.get().await, "short");
    setting.pass(1);
    assert_eq!(setting.get().await, "T2");
}

#[tokio::test]
async fn an_invalidated_access_token_is_replaced_once() {
    let setting = Setting::new().await;
    let stale = setting.tokens.get().await.expect("token");
    setting.tokens.invalidate(&stale);
    assert_eq!(setting.get().await, "T2");
    setting.tokens.invalidate(&stale);
    assert_eq!((setting.get().await.as_str(), setting.wecom.gettokens()), ("T2", 2));
}

#[tokio::test]
async fn a_wrong_secret_is_not_hammered() {
    let setting = Setting::new().await;
    setting.wecom.next_gettoken(Reply::errcode(40001));
    for wait in [0, 0, 29] {
        setting.pass(wait);
        let error = setting.tokens.get().await.expect_err("refused");
        assert!(matches!(error, TokenError::Refused(refusal) if refusal.errcode == Errcode(40001)));
    }
    assert_eq!(setting.wecom.gettokens(), 1);
    setting.pass(1);
    assert_eq!(setting.get().await, "T2");
}

#[tokio::test]
async fn no_error_and_no_debug_shows_a_secret() {
    let setting = Setting::new().await;
    let echo = json!({"errcode": 40001, "errmsg": format!("invalid corpsecret {SECRET}")});
    let mut errors = Vec::new();
    for reply in [Reply::Json(echo), Reply::Status(500), Reply::Reset, Reply::Text("<html>")] {
        setting.wecom.next_gettoken(reply);
        errors.push(setting.tokens.get().await.expect_err("no token"));
        setting.pass(60);
    }
    let mut nowhere = setting.wecom.settings();
    nowhere.api_base = "http://127.0.0.1:9".to_owned();
    let tokens = AccessTokens::new(setting.wecom.http(), &nowhere, Clock::System, Arc::default());
    errors.push(tokens.get().await.expect_err("no token"));

    setting.get().await;
    let mut told = format!("{:?}", setting.tokens);
    for error in &errors {
        let chain = std::iter::successors(Some(error as &(dyn Error + 'static)), |link| (*link).source());
        told.extend(chain.map(|link| format!("{link} {link:?}\n")));
    }
    assert!(told.contains("invalid corpsecret ***"), "{told}");
    for secret in [SECRET, "corpsecret=", "T5"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}

#[tokio::test]
async fn a_refusal_does_not_stand_longer_because_the_clock_was_set_back() {
    let setting = Setting::new().await;
    setting.wecom.next_gettoken(Reply::errcode(40001));
    assert!(setting.tokens.get().await.is_err());
    setting.pass(1);
    assert!(setting.tokens.get().await.is_err());
    assert_eq!(setting.wecom.gettokens(), 1, "it stands");
    setting.clock.set_back(Duration::from_secs(3600));
    assert_eq!(setting.get().await, "T2");
}
