//! Keys that members make themselves: from `/key` in the chat by a one-time link to a call at `/v1`.

use std::time::Duration;

use qimate::{
    clock::Clock,
    config::Config,
    model::{
        audit::Actor,
        id::MemberId,
        key::{Endpoint, KeyText},
        privacy::Privacy,
    },
    sandbox::model::ModelReply,
    store::{Store, member},
};
use reqwest::{Response, header::HeaderMap};
use serde_json::Value;

use super::{corp, question};
use crate::{
    disk::{holding, holds_nowhere},
    harness::{App, Logs, ask, within},
};

const BASE: &str = "https://qimate.example.com";

/// A daemon in which members may make keys, as many as `most`.
struct Desk {
    app: App,
    http: reqwest::Client,
}

/// What the page said.
struct Page {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Page {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: within(response.text()).await.unwrap() }
    }

    /// The key that it shows.
    fn key(&self) -> String {
        let found = self.text.split_once("<code id=\"key\">").and_then(|(_, rest)| rest.split_once("</code>"));
        let (key, _) = found.unwrap_or_else(|| panic!("{}: {}", self.status, self.text));
        assert!(KeyText::parse(key).is_ok(), "{key}");
        key.to_owned()
    }
}

impl Desk {
    async fn open(most: u32) -> Self {
        Self::open_with(most, |_| {}).await
    }

    async fn open_with(most: u32, change: impl FnOnce(&mut Config)) -> Self {
        let app = App::start_with(|config| {
            config.v1.enabled = true;
            config.v1.member_keys.most = most;
            config.server.public_url = Some(BASE.to_owned());
            config.alerts.operators = vec![MemberId::parse("boss").unwrap()];
            change(config);
        })
        .await;
        app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
        Self { app, http: reqwest::Client::new() }
    }

    /// The path of the link that a member is sent.
    async fn link(&self, member: &str, command: &str) -> String {
        let said = ask(&self.app, member, command).await;
        let link = said.lines().last().unwrap().strip_prefix(BASE).unwrap_or_else(|| panic!("{said}"));
        let token = link.strip_prefix("/key/").unwrap();
        assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{said}");
        link.to_owned()
    }

    async fn look(&self, link: &str) -> Page {
        Page::of(within(self.http.get(self.app.url(link)).send()).await.unwrap()).await
    }

    /// As the button of the page does.
    async fn press(&self, link: &str) -> Page {
        let request =
            self.http.post(self.app.url(link)).header("origin", "null").header("sec-fetch-site", "same-origin");
        Page::of(within(request.send()).await.unwrap()).await
    }

    async fn models(&self, key: &str) -> u16 {
        within(self.http.get(self.app.url("/v1/models")).bearer_auth(key).send()).await.unwrap().status().as_u16()
    }

    fn keys(&self) -> i64 {
        self.app.count("SELECT COUNT(*) FROM api_key WHERE revoked_at IS NULL")
    }

    fn links(&self) -> i64 {
        self.app.count("SELECT COUNT(*) FROM key_link")
    }
}

#[tokio::test]
async fn from_a_message_in_the_chat_to_a_call() {
    let logs = Logs::capture();
    let mut desk = Desk::open_with(2, |config| {
        config.v1.member_keys.scope.endpoints = Some([Endpoint::Chat, Endpoint::Models].into());
    })
    .await;
    let link = desk.link("Li", "/key new 我的 <笔记本>").await;
    // WeCom, scanners and the member's browser look at it before anybody presses anything.
    for _ in 0..2 {
        let page = desk.look(&link).await;
        assert_eq!(page.status, 200);
        assert!(
            page.text.contains("我的 &lt;笔记本&gt;") && page.text.contains("<form method=\"post\">"),
            "{}",
            page.text
        );
        assert_eq!((desk.keys(), desk.links()), (0, 1), "looking changes nothing");
    }
    assert_eq!(within(desk.http.head(desk.app.url(&link)).send()).await.unwrap().status(), 200);
    let page = desk.press(&link).await;
    assert_eq!(page.status, 200);
    let key = page.key();
    assert!(page.text.contains("https://qimate.example.com/v1") && page.text.contains("qimate-demo"), "{}", page.text);
    assert!(page.text.contains("2026-12-20 22:13"), "its end: {}", page.text);
    assert_eq!((desk.keys(), desk.links()), (1, 0));
    // It works at once, for what members may have, and it is the member's.
    let chat = desk.http.post(desk.app.url("/v1/chat/completions")).bearer_auth(&key).json(&question("喂"));
    assert_eq!(within(chat.send()).await.unwrap().status(), 200);
    let me: Value = desk.http.get(desk.app.url("/v1/me")).bearer_auth(&key).send().await.unwrap().json().await.unwrap();
    assert_eq!((&me["member"], &me["name"]), (&"Li".into(), &"我的 <笔记本>".into()));
    let speech = desk.http.post(desk.app.url("/v1/audio/speech")).bearer_auth(&key).json(&question("喂"));
    assert_eq!(within(speech.send()).await.unwrap().status(), 403);
    let list = ask(&desk.app, "li", "/key").await;
    assert!(list.contains(KeyText::parse(&key).unwrap().id.as_str()) && list.contains("还可以新建 1 个"), "{list}");

    // Once used it opens nothing, and says no more than a link that never was.
    let never = desk.look(&format!("/key/{}", "0".repeat(64))).await;
    for page in
        [desk.look(&link).await, desk.press(&link).await, desk.look("/key/abc").await, desk.press("/key/x").await]
    {
        assert_eq!((page.status, &page.text), (404, &never.text));
    }
    assert_eq!((never.status, desk.keys()), (404, 1));
    let entry = "SELECT actor || ' ' || action FROM audit ORDER BY seq DESC LIMIT 1";
    let entry: String = desk.app.database().query_row(entry, [], |row| row.get(0)).unwrap();
    assert!(entry.starts_with("member/ww1436e0e65a779aee/#") && entry.ends_with(" key.create"), "{entry}");

    let token = link.strip_prefix("/key/").unwrap().to_owned();
    for secret in [&key[16..80], &token] {
        assert!(logs.with(&[secret]).is_empty(), "it is in the log: {:?}", logs.with(&[secret]));
    }
    desk.app.stop().await;
    let secret = &key.as_bytes()[16..80];
    let raw = hex::decode(secret).unwrap();
    for what in [&secret[..24], &raw] {
        holds_nowhere(desk.app.dir.path(), what);
    }
    // The message with the link is, where messages are kept; it opens nothing.
    assert!(!holding(desk.app.dir.path(), token.as_bytes()).is_empty());
}

#[tokio::test]
async fn nobody_keeps_frames_or_adds_to_the_page_and_no_other_page_presses_its_button() {
    let desk = Desk::open(2).await;
    let link = desk.link("li", "/key new").await;
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let foreign = desk.http.post(desk.app.url(&link)).header(name, value);
        let page = Page::of(within(foreign.send()).await.unwrap()).await;
        assert_eq!((page.status, desk.keys(), desk.links()), (403, 0, 1), "{name}");
    }
    let pages = [
        desk.look(&link).await,
        desk.press(&link).await,
        desk.look(&link).await,
        Page::of(within(desk.http.delete(desk.app.url(&link)).send()).await.unwrap()).await,
    ];
    assert_eq!(pages.each_ref().map(|page| page.status), [200, 200, 404, 405]);
    for page in &pages {
        let header = |name: &str| page.headers[name].to_str().unwrap();
        assert_eq!((header("cache-control"), header("referrer-policy")), ("no-store", "no-referrer"));
        assert_eq!((header("x-frame-options"), header("x-content-type-options")), ("DENY", "nosniff"));
        let policy = header("content-security-policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert!(!page.text.contains("src=") && !page.text.contains("<link"), "nothing of anybody else: {}", page.text);
    }
    assert_eq!(pages[1].headers["content-type"], "text/html; charset=utf-8");
}

#[tokio::test]
async fn a_link_is_good_for_ten_minutes_also_across_a_restart() {
    let mut desk = Desk::open(2).await;
    let [used, late] = [desk.link("li", "/key new 一").await, desk.link("li", "/key new 二").await];
    desk.app.drop_everything().await;
    desk.app.launch().await;
    desk.app.clock.advance(Duration::from_secs(599));
    let key = desk.press(&used).await.key();
    assert_eq!(desk.models(&key).await, 200);
    desk.app.clock.advance(Duration::from_secs(1));
    assert_eq!((desk.look(&late).await.status, desk.press(&late).await.status, desk.keys()), (404, 404, 1));
    // What nobody used goes.
    desk.app.stop().await;
    desk.app.launch().await;
    within(async {
        while desk.links() > 0 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    // After its days the key ends.
    desk.app.clock.advance(Duration::from_secs(90 * 86_400));
    assert_eq!(desk.models(&key).await, 401);
    desk.link("li", "/key new").await;
}

#[tokio::test]
async fn who_is_blocked_between_the_link_and_its_use_gets_no_key() {
    let desk = Desk::open(2).await;
    let link = desk.link("li", "/key new").await;
    ask(&desk.app, "boss", "/block li").await;
    let never = desk.look(&format!("/key/{}", "0".repeat(64))).await;
    for page in [desk.look(&link).await, desk.press(&link).await] {
        assert_eq!((page.status, &page.text), (404, &never.text), "no word of why");
    }
    assert!(ask(&desk.app, "li", "/key new").await.contains("管理员暂停了你对我的使用"));
    assert_eq!((desk.keys(), desk.links()), (0, 1));
    ask(&desk.app, "boss", "/unblock li").await;
    desk.press(&link).await.key();
}

#[tokio::test]
async fn of_two_links_for_the_last_place_one_gives_a_key_also_at_the_same_moment() {
    let desk = Desk::open(1).await;
    let [a, b] = [desk.link("li", "/key new 一").await, desk.link("li", "/key new 二").await];
    let (first, second) = tokio::join!(desk.press(&a), desk.press(&b));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!((statuses, desk.keys(), desk.links()), ([200, 409], 1, 1));
    let (full, rest) = if first.status == 409 { (&first, &a) } else { (&second, &b) };
    assert!(full.text.contains("每人最多自己建立 1 个密钥"), "{}", full.text);
    let refused = ask(&desk.app, "li", "/key new 三").await;
    assert!(refused.starts_with("每人最多自己建立 1 个密钥，已经到了。"), "{refused}");
    // Keys that an operator makes take nobody's place; one that is revoked gives its back.
    let id: String = desk.app.database().query_row("SELECT id FROM api_key", [], |row| row.get(0)).unwrap();
    ask(&desk.app, "li", &format!("/key revoke {id}")).await;
    // One link, pressed twice at the same moment.
    let (first, second) = tokio::join!(desk.press(rest), desk.press(rest));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!((statuses, desk.keys(), desk.links()), ([200, 404], 1, 0));
}

#[tokio::test]
async fn a_rotated_key_has_another_secret_and_the_old_one_a_day() {
    let desk = Desk::open(1).await;
    let old = desk.press(&desk.link("li", "/key new 笔记本").await).await.key();
    let id = KeyText::parse(&old).unwrap().id;
    let link = desk.link("li", &format!("/key rotate {id}")).await;
    assert!(desk.look(&link).await.text.contains("笔记本"), "it is no new one, so there is room");
    assert_eq!(desk.models(&old).await, 200);
    let page = desk.press(&link).await;
    let new = page.key();
    assert!(page.text.contains("旧密钥到期"), "{}", page.text);
    assert_eq!((KeyText::parse(&new).unwrap().id == id, desk.keys()), (true, 1));
    assert_eq!((desk.models(&old).await, desk.models(&new).await), (200, 200));
    desk.app.clock.advance(Duration::from_secs(86_400));
    assert_eq!((desk.models(&old).await, desk.models(&new).await), (401, 200));
    assert_eq!(desk.press(&link).await.status, 404);
    // Revoked between link and use.
    let link = desk.link("li", &format!("/密钥 更换 {id}")).await;
    ask(&desk.app, "li", &format!("/key revoke {id}")).await;
    assert_eq!(desk.press(&link).await.status, 409);
    desk.app.felt().await;
    assert_eq!(desk.models(&new).await, 401);
}

#[tokio::test]
async fn no_model_hears_of_a_link_and_no_export_has_it() {
    let desk = Desk::open(2).await;
    ask(&desk.app, "li", "一").await;
    let link = desk.link("li", "/key new 笔记本").await;
    ask(&desk.app, "li", "二").await;
    let token = link.strip_prefix("/key/").unwrap();
    for request in desk.app.model.requests() {
        let body = request.body.to_string();
        assert!(!body.contains(token) && !body.contains("/key") && !body.contains("笔记本"), "{body}");
    }
    ask(&desk.app, "li", "/export").await;
    let sent = desk.app.wecom.messages_for("li").pop().unwrap();
    let file = desk.app.wecom.uploaded(&sent.content).expect("a file");
    let text = String::from_utf8(file.bytes.to_vec()).unwrap();
    assert!(text.contains('二') && !text.contains(token) && !text.contains("/key"), "{text}");
    assert!(!ask(&desk.app, "li", "/history").await.contains("/key"));
}

#[tokio::test]
async fn it_works_where_texts_are_not_kept_and_then_the_link_goes_with_its_delivery() {
    for privacy in [Privacy::Metadata, Privacy::Nothing] {
        let desk = Desk::open_with(2, |config| config.chat.privacy = privacy).await;
        let link = desk.link("li", "/key new").await;
        let left = "SELECT COUNT(*) FROM outbox WHERE content LIKE '%/key/%'";
        assert_eq!(desk.app.count(left), 0, "{privacy:?}");
        let key = desk.press(&link).await.key();
        assert_eq!(desk.models(&key).await, 200);
        let list = ask(&desk.app, "li", "/key").await;
        assert!(list.contains("我的密钥"), "{list}");
    }
}

#[tokio::test]
async fn a_link_goes_with_its_member() {
    let desk = Desk::open(2).await;
    let [erased, renamed] = [desk.link("li", "/key new").await, desk.link("wang", "/key new").await];
    let now = Clock::Manual(desk.app.clock.clone()).now();
    member::erase(&desk.app.config.storage, &Actor::Daemon, &MemberId::parse("li").unwrap(), now).unwrap();
    assert_eq!((desk.press(&erased).await.status, desk.links()), (404, 1));
    let fields = [("UserID", "wang"), ("NewUserID", "WangWu")];
    assert!(within(desk.app.wecom.change_contact("update_user", &fields)).await.accepted());
    let key = desk.press(&renamed).await.key();
    let me: Value = desk.http.get(desk.app.url("/v1/me")).bearer_auth(&key).send().await.unwrap().json().await.unwrap();
    assert_eq!(me["member"], "WangWu");
    let store = Store::open_beside(&desk.app.config.storage).unwrap();
    let theirs = store.keys_of(&corp(), &MemberId::parse("wangwu").unwrap()).await.unwrap();
    assert!(theirs.len() == 1 && theirs[0].self_made);
}
