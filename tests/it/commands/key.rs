//! `/key`: a member's own API keys in the chat. What the links open that it gives, `v1/own_keys` tells.

use std::time::Duration;

use qimate::{
    clock::Clock,
    config::{Config, chat::Language},
    model::{
        audit::Actor,
        id::{CorpId, MemberId},
        key::{Owner, Scope},
        quota::{
            plan::{Plan, Right},
            subject::Subject,
        },
    },
    store::{
        Store,
        keys::{Made, NewKey},
        plans::Holder,
    },
};
use rusqlite::params;

use crate::harness::{App, ask, get};

const NOT_HERE: &str = "这里没有开启自己生成 API 密钥。需要的话请联系管理员。";

/// Members may make two keys each.
fn may(config: &mut Config) {
    config.v1.enabled = true;
    config.v1.member_keys.most = 2;
    config.server.public_url = Some("https://qimate.example.com".to_owned());
}

fn corp() -> CorpId {
    CorpId::parse("ww1436e0e65a779aee").unwrap()
}

fn beside(app: &App) -> (Store, qimate::clock::Timestamp) {
    (Store::open_beside(&app.config.storage).unwrap(), Clock::Manual(app.clock.clone()).now())
}

/// A key that an operator makes for a member: its id and all of it.
async fn made_by_an_operator(app: &App, member: &str) -> (String, String) {
    let owner = Owner::Member(MemberId::parse(member).unwrap());
    let (name, scope) = ("报表".to_owned(), Scope::default());
    let new = NewKey { corp: corp(), owner, name, scope, external_id: None, expires_at: None };
    let (store, now) = beside(app);
    let Made::New(key, text) = store.make_key(&Actor::Daemon, new, now).await.unwrap() else { panic!("not new") };
    (key.id.to_string(), text.expose().clone())
}

#[tokio::test]
async fn it_is_off_by_default_and_where_something_is_missing_for_it() {
    let missing: [fn(&mut Config); 4] = [
        |_| {},
        |config| {
            may(config);
            config.v1.enabled = false;
        },
        |config| {
            may(config);
            config.server.public_url = None;
        },
        |config| {
            may(config);
            config.server.public_url = Some("http://qimate.example.com".to_owned());
        },
    ];
    for change in missing {
        let app = App::start_with(change).await;
        for command in ["/key", "/密钥", "/key new 笔记本", "/key 是什么"] {
            assert_eq!(ask(&app, "li", command).await, NOT_HERE);
        }
        assert!(!ask(&app, "li", "/help").await.contains("/key"));
        assert_eq!(get(app.url(&format!("/key/{}", "0".repeat(64))), None).await, (404, String::new()));
        assert!(app.model.requests().is_empty());
    }
}

#[tokio::test]
async fn the_help_shows_it_to_those_who_may_and_a_plan_may_be_without_it() {
    let app = App::start_with(may).await;
    let line = "\n/key [新建 名称|更换 编号|停用 编号]（/密钥）查看、新建、更换或停用自己的 API 密钥\n";
    for member in ["li", "wang"] {
        assert!(ask(&app, member, "/help").await.contains(line));
    }
    let (store, now) = beside(&app);
    let without = Plan { without: [Right::Keys].into(), ..Plan::default() };
    store.save_plan(&Actor::Daemon, "small", &without, now).await.unwrap();
    let li = Holder::One(Subject::member(&corp(), &MemberId::parse("li").unwrap()));
    assert!(store.attach_plan(&Actor::Daemon, &li, "small", now).await.unwrap());
    app.felt().await;
    assert!(!ask(&app, "li", "/help").await.contains("/key"));
    for command in ["/key new 笔记本", "/key rotate 0123456789ab"] {
        assert_eq!(ask(&app, "li", command).await, "你的方案不包括自己生成 API 密钥。需要的话请联系管理员。");
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM key_link"), 0);
    assert!(ask(&app, "wang", "/key new 笔记本").await.contains("https://qimate.example.com/key/"));
    assert!(ask(&app, "wang", "/help").await.contains(line));
}

#[tokio::test]
async fn a_member_sees_their_keys_and_never_a_secret_and_takes_back_their_own() {
    let app = App::start_with(may).await;
    assert!(ask(&app, "li", "/key").await.starts_with("你还没有 API 密钥，可以新建 2 个。\n\n发 /key 查看"));
    let (id, text) = made_by_an_operator(&app, "Li").await;
    let (other, _) = made_by_an_operator(&app, "wang").await;
    let mine = "INSERT INTO api_key (id, corp, member, userid, name, scope, hash, created_at, expires_at, last_used_at,
                    self_made)
                VALUES (?1, ?2, 'li', 'Li', '笔记本', '{\"networks\":[]}', zeroblob(32), 1, ?3, ?4, 1)";
    let day = |days: i64| 1_790_000_000_000 + days * 86_400_000;
    app.database().execute(mine, params!["aaaaaaaaaaaa", corp().as_str(), day(90), day(-1)]).unwrap();
    app.database().execute(mine, params!["bbbbbbbbbbbb", corp().as_str(), day(-2), None::<i64>]).unwrap();
    let list = ask(&app, "li", "/密钥").await;
    let expected = format!(
        "你的 API 密钥：\n\
         bbbbbbbbbbbb 笔记本：还没用过，已于 2026-09-19 22:13 到期\n\
         aaaaaaaaaaaa 笔记本：最后使用 2026-09-20 22:13，2026-12-20 22:13 到期\n\
         {id} 报表：还没用过，管理员建立\n\n\
         还可以新建 1 个。发 /key 查看自己的 API 密钥，发“/key new 名称”新建，发“/key rotate 编号”更换，发“/key revoke \
         编号”停用。"
    );
    assert_eq!(list, expected);
    // What an operator made, an operator renews; what is over nobody does.
    for id in [&id, &other, "bbbbbbbbbbbb", "cccccccccccc"] {
        let refused = ask(&app, "li", &format!("/key rotate {id}")).await;
        assert_eq!(refused, "没有这样一个你自己建立、还有效的密钥。发 /key 查看。", "{id}");
    }
    assert_eq!(ask(&app, "li", "/key revoke 笔记本").await, "这不是密钥的编号。编号有 12 位，发 /key 可以看到。");
    assert_eq!(ask(&app, "li", &format!("/key revoke {other}")).await, "你没有这个编号的密钥。发 /key 查看。");
    // Whoever has nothing but the key itself can stop it all the same.
    let models = async || {
        app.felt().await;
        reqwest::Client::new().get(app.url("/v1/models")).bearer_auth(&text).send().await.unwrap().status().as_u16()
    };
    assert_eq!(models().await, 200);
    assert_eq!(ask(&app, "li", &format!("/key revoke {text}")).await, "好的，这个密钥已停用，不能恢复。");
    assert_eq!(models().await, 401);
    assert_eq!(ask(&app, "li", &format!("/密钥 停用 {id}")).await, "这个密钥早已停用。");
    assert_eq!(ask(&app, "li", "/key revoke AAAAAAAAAAAA").await, "好的，这个密钥已停用，不能恢复。");
    let list = ask(&app, "li", "/key").await;
    assert!(!list.contains(&id) && !list.contains("aaaaaaaaaaaa") && list.contains("还可以新建 2 个"), "{list}");
    assert!(app.wecom.messages_for("li").iter().all(|message| !message.content.contains(&text[16..40])));
    let entries =
        "SELECT COUNT(*) FROM audit WHERE action = 'key.revoke' AND actor LIKE 'member/ww1436e0e65a779aee/#%'";
    assert_eq!(app.count(entries), 2);
}

#[tokio::test]
async fn what_is_not_understood_is_explained_in_the_members_language() {
    let app = App::start_with(|config| {
        may(config);
        config.chat.language = Language::English;
        config.team.contact = Some("Ada".to_owned());
    })
    .await;
    let how = "/key shows your API keys; “/key new NAME” makes one, “/key rotate ID” gives one another secret, “/key \
               revoke ID” takes one back.";
    assert_eq!(ask(&app, "li", "/key please").await, how);
    assert_eq!(ask(&app, "li", "/keys").await, format!("You have no API keys; you may make 2.\n\n{how}"));
    let long = ask(&app, "li", &format!("/key new {}", "字".repeat(65))).await;
    assert_eq!(long, "That name is too long: it may have 64 characters.");
    let link = ask(&app, "li", "/key new").await;
    assert!(
        link.starts_with("Open this link to make your key and get it. The link works once, within 10 minutes;"),
        "{link}"
    );
    assert_eq!(app.count("SELECT name = 'my key' AND language = 'en' FROM key_link"), 1);
    // Long afterwards nothing is left of a link that nobody used.
    app.clock.advance(Duration::from_secs(3600));
    ask(&app, "li", "/key new 二").await;
    assert_eq!(app.count("SELECT COUNT(*) FROM key_link"), 1);
}
