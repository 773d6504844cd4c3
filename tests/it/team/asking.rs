//! A member asks for more than a limit allows, and an operator decides: once, whoever of them, and by whatever means.

use std::time::Duration;

use qimate::{config::Config, model::id::MemberId, store::plans::Holder};
use serde_json::Value;

use super::{app_with, ask, plan};
use crate::harness::{App, within};

const CORP: &str = "ww1436e0e65a779aee";
const GRANTS: &str = "SELECT COUNT(*) FROM allowance";

/// A daemon with this limit for everybody, and two operators: `boss` of the configuration, and `op`, whose role is stored.
async fn app(limit: &str) -> App {
    let boss = |config: &mut Config| config.alerts.operators = vec![MemberId::parse("boss").unwrap()];
    let app = app_with(&[(Holder::EveryMember, plan(&[limit]))], boss).await;
    app.database()
        .execute(
            "INSERT INTO member (corp, member, userid, role, changed_at) VALUES (?1, 'op', 'Op', 'operator', 1)",
            [CORP],
        )
        .unwrap();
    app
}

/// Another process writes what somebody chose.
fn prefer(app: &App, member: &str, columns: &str) {
    let lane = format!("{CORP}/1000002/{member}");
    let set = format!(
        "INSERT INTO member_preference (lane, client, changed_at) VALUES ('{lane}', 'unknown', 1)
             ON CONFLICT (lane) DO NOTHING;
         UPDATE member_preference SET {columns} WHERE lane = '{lane}'"
    );
    app.database().execute_batch(&set).unwrap();
}

/// What somebody got last.
fn last(app: &App, member: &str) -> (String, String) {
    let message = app.wecom.messages_for(member).pop().unwrap_or_else(|| panic!("{member} got nothing"));
    (message.msgtype, message.content.trim_end_matches(['\u{200B}', '\u{200C}']).to_owned())
}

fn card(app: &App, operator: &str) -> Value {
    let (kind, content) = last(app, operator);
    assert_eq!(kind, "template_card", "{operator}: {content}");
    serde_json::from_str(&content).unwrap()
}

/// Presses a button, and says what is said to that.
async fn press(app: &App, member: &str, card: &Value, key: &str) -> String {
    let before = app.wecom.messages_for(member).len();
    // Within one second WeCom's events could not be told apart.
    app.clock.advance(Duration::from_secs(1));
    assert!(within(app.wecom.press(member, card["task_id"].as_str().unwrap(), key, &[])).await.0.accepted());
    app.texts(member, before + 1).await;
    app.settled().await;
    last(app, member).1
}

fn updates(app: &App) -> Vec<String> {
    let lines = app.wecom.lines_after(0).into_iter().filter(|line| line.msgtype == "card_update");
    let name = |content: &str| -> Option<String> {
        Some(serde_json::from_str::<Value>(content).ok()?["button"]["replace_name"].as_str()?.to_owned())
    };
    lines.filter_map(|line| name(&line.content)).collect()
}

/// Waits until a number in the database is this.
#[tokio::test]
async fn what_a_member_asks_for_at_a_limit_one_of_two_operators_grants_by_a_press_and_it_is_felt_at_once() {
    let app = app("requests=2/day").await;
    prefer(&app, "boss", "client = 'wecom'");
    prefer(&app, "op", "client = 'wecom', language = 'en'");
    ask(&app, "li", "一").await;
    let enough = ask(&app, "li", "/申请").await;
    assert!(enough.starts_with("额度还够用，用到 80% 以上才可以申请。\n\n你的额度：\n今天：已用 1 / 2"), "{enough}");
    ask(&app, "li", "二").await;
    let refused = "你今天的额度不够了：已用 2，上限 2 个问题。9月22日（周二）00:00 恢复。发送 /申请 可以申请更多。";
    assert_eq!(ask(&app, "li", "三").await, refused);
    let passed_on = "好的，已转给管理员：今天已用 2，上限 2 个问题。有结果我会告诉你。";
    assert_eq!(ask(&app, "li", "/申请 月底\n报表").await, passed_on);

    let (of_boss, of_op) = (card(&app, "boss"), card(&app, "op"));
    assert_eq!(of_boss["sub_title_text"], "月底 报表");
    assert_eq!(of_boss["main_title"]["desc"], "今天已用 2，上限 2 个问题");
    assert_eq!(of_boss["horizontal_content_list"][0]["value"], "li");
    let buttons: Vec<_> = of_boss["button_list"].as_array().unwrap().iter().map(|one| &one["text"]).collect();
    assert_eq!(buttons, ["今天再给一份", "7 天内再给一份", "不同意"]);
    assert_eq!(of_op["main_title"]["title"], "Asks for more");
    assert_ne!(of_boss["task_id"], of_op["task_id"]);

    let granted = press(&app, "op", &of_op, "qimate:rest").await;
    let what = "2 questions of each day more, which makes 4 questions; it ends on Tue 2026-09-22 at 00:00";
    assert_eq!(granted, format!("Done, and li is told: {what}."));
    let told = "管理员同意了你的申请：每天的额度增加 2 个问题，现在的上限是 4 个问题，9月22日（周二）00:00 前有效。";
    assert_eq!(last(&app, "li").1, told);
    assert_eq!(updates(&app), ["Granted"]);
    assert_eq!(ask(&app, "li", "三").await, "好");

    assert_eq!(press(&app, "boss", &of_boss, "qimate:week").await, "op 已经决定：同意。");
    let again = press(&app, "op", &of_op, "qimate:no").await;
    assert_eq!(again, "op decided already: granted.");
    assert_eq!((app.count(GRANTS), last(&app, "li").1.as_str()), (1, "好"));
    // It ends with the day.
    app.clock.advance(Duration::from_secs(24 * 3600));
    ask(&app, "li", "一").await;
    ask(&app, "li", "二").await;
    assert!(ask(&app, "li", "三").await.starts_with("你今天的额度不够了：已用 2，上限 2 个问题。"));
}

#[tokio::test]
async fn the_same_is_passed_on_once_a_day_and_a_card_of_before_grants_nothing() {
    let app = app("requests=1/lifetime").await;
    prefer(&app, "boss", "client = 'wecom'");
    ask(&app, "li", "一").await;
    ask(&app, "li", "申请额度").await;
    let first = card(&app, "boss");
    let waits = ask(&app, "li", "/more 快一点").await;
    assert_eq!(waits, "9月21日（周一）22:13 已经把你的申请转给管理员，请等他们决定。");
    assert_eq!(app.wecom.messages_for("boss").len(), 1);
    app.clock.advance(Duration::from_secs(24 * 3600));
    assert!(ask(&app, "li", "/more 快一点").await.starts_with("好的，已转给管理员"));
    let second = card(&app, "boss");
    assert_eq!((app.wecom.messages_for("boss").len(), &second["sub_title_text"]), (2, &"快一点".into()));
    assert_eq!(press(&app, "boss", &first, "qimate:rest").await, "这份申请已经过期，对方重新申请过。");
    assert_eq!(app.count(GRANTS), 0);
    // No calendar ends the window: it is a day.
    assert!(
        press(&app, "boss", &second, "qimate:rest")
            .await
            .contains("现在的上限是 2 个问题，9月23日（周三）22:13 前有效")
    );
    assert_eq!(ask(&app, "li", "二").await, "好\n（提示：你总共的额度已用 2，上限 2 个问题。）");
}

#[tokio::test]
async fn a_press_after_a_restart_grants_and_one_that_a_crash_cut_off_is_told_and_grants_nothing_twice() {
    let mut app = app("requests=1/month").await;
    prefer(&app, "boss", "client = 'wecom'");
    ask(&app, "li", "一").await;
    ask(&app, "li", "/申请").await;
    let shown = card(&app, "boss");
    app.stop().await;
    app.launch().await;
    // What is said waits, so that the crash comes before it.
    app.wecom.trouble(|trouble| trouble.fail_sends(Some(-1)));
    app.clock.advance(Duration::from_secs(1));
    let task = shown["task_id"].as_str().unwrap();
    assert!(within(app.wecom.press("boss", task, "qimate:rest", &[])).await.0.accepted());
    app.comes_to(GRANTS, 1).await;
    app.comes_to("SELECT COUNT(*) FROM inbox WHERE state = 'open'", 0).await;
    app.drop_everything().await;
    // As it is between the decision and the end of its row.
    let cut_off = "
        UPDATE inbox SET state = 'open' WHERE seq = (SELECT decided_in FROM quota_request);
        INSERT INTO inbox_lane (lane, depth, ready_at)
            SELECT lane, 1, 0 FROM inbox WHERE seq = (SELECT decided_in FROM quota_request);
        DELETE FROM outbox WHERE state = 'waiting';
        DELETE FROM outbox_lane;";
    app.database().execute_batch(cut_off).unwrap();
    app.wecom.trouble(|trouble| trouble.fail_sends(None));
    let before = (app.wecom.messages_for("boss").len(), app.wecom.messages_for("li").len());
    app.launch().await;
    app.texts("boss", before.0 + 1).await;
    app.texts("li", before.1 + 1).await;
    app.settled().await;
    assert!(last(&app, "boss").1.starts_with("好的，li 每月的额度增加 1 个问题"), "{:?}", last(&app, "boss"));
    assert!(last(&app, "li").1.starts_with("管理员同意了你的申请：每月的额度增加 1 个问题，现在的上限是 2 个问题"));
    assert_eq!(app.count(GRANTS), 1);
    assert!(ask(&app, "li", "二").await.starts_with("好"));
}

#[tokio::test]
async fn whoever_is_no_operator_decides_nothing() {
    let app = app("requests=1/day").await;
    prefer(&app, "boss", "client = 'wecom'");
    ask(&app, "li", "一").await;
    ask(&app, "li", "/申请").await;
    let shown = card(&app, "boss");
    const NOT: &str = "这个命令只有管理员能用。需要的话，请联系管理员。";
    assert_eq!(press(&app, "li", &shown, "qimate:rest").await, NOT);
    assert_eq!(ask(&app, "wang", "/grant 1").await, NOT);
    assert_eq!(ask(&app, "wang", "/deny 1").await, NOT);
    assert_eq!((app.count(GRANTS), updates(&app).len()), (0, 0));
    assert_eq!(app.count("SELECT COUNT(*) FROM quota_request WHERE decided_at IS NULL"), 1);
    assert!(ask(&app, "li", "二").await.starts_with("你今天的额度不够了"));
}

#[tokio::test]
async fn who_is_denied_is_told_so_in_their_language_and_asks_nobody_again_that_day() {
    let app = app("requests=1/week").await;
    prefer(&app, "boss", "client = 'wecom'");
    prefer(&app, "li", "language = 'en'");
    ask(&app, "li", "一").await;
    assert!(ask(&app, "li", "二").await.ends_with(" Send /more to ask for more."));
    assert!(
        ask(&app, "li", "/more").await.starts_with("All right, I passed it on: 1 of 1 questions of this week used.")
    );
    let shown = card(&app, "boss");
    assert_eq!(press(&app, "boss", &shown, "qimate:no").await, "好的，没有同意 li 的申请。已告诉对方。");
    const DENIED: &str = "Your request was not granted. Ask your administrator if you need it.";
    assert_eq!((last(&app, "li").1.as_str(), updates(&app)), (DENIED, vec!["未同意".to_owned()]));
    let before = app.wecom.messages_for("boss").len();
    assert_eq!(ask(&app, "li", "/more please").await, DENIED);
    assert_eq!((app.wecom.messages_for("boss").len(), app.count(GRANTS)), (before, 0));
}

#[tokio::test]
async fn an_operator_whose_client_shows_no_cards_decides_in_writing() {
    let app = app("requests=1/day").await;
    ask(&app, "li", "一").await;
    app.database().execute("UPDATE member SET name = '李四' WHERE member = 'li'", []).unwrap();
    ask(&app, "li", "/申请 月底").await;
    let text = "李四（li） 申请更多额度：今天已用 1，上限 1 个问题。\n原因：月底\n\n发“/grant 1”今天再给一份，发“/grant 1 7”7 \
                天内再给一份，发“/deny 1”不同意。也可以在服务器上运行：\n\
                qimate grant add --member li --requests 1 --days 7";
    assert_eq!(last(&app, "boss"), ("text".to_owned(), text.to_owned()));
    assert_eq!(last(&app, "op").1, text);
    assert_eq!(ask(&app, "boss", "/grant 1 x").await, "请在命令后面写上内容：/grant 编号 [天数]");
    assert_eq!(ask(&app, "boss", "/grant 7").await, "没有这份申请。");
    let granted = ask(&app, "boss", "/同意 1 7").await;
    assert!(granted.starts_with("好的，李四（li） 每天的额度增加 1 个问题"), "{granted}");
    assert!(
        last(&app, "li").1.ends_with("现在的上限是 2 个问题，9月28日（周一）22:13 前有效。"),
        "{:?}",
        last(&app, "li")
    );
    assert_eq!(ask(&app, "op", "/deny 1").await, "boss 已经决定：同意。");
    assert!(ask(&app, "li", "二").await.starts_with("好"));
}

#[tokio::test]
async fn a_card_that_wecom_does_not_take_becomes_a_text() {
    let app = app("requests=1/day").await;
    prefer(&app, "boss", "client = 'wecom'");
    ask(&app, "boss", "一").await;
    app.database().execute("DELETE FROM member WHERE member = 'op'", []).unwrap();
    // The operator's own request: the card is the first message of the lane.
    app.wecom.trouble(|trouble| trouble.fail_next_sends(1, 42045));
    let before = app.wecom.messages_for("boss").len();
    app.say("boss", "/申请").await;
    let said = app.texts("boss", before + 2).await.split_off(before);
    app.settled().await;
    assert!(said[0].starts_with("好的，已转给管理员"), "{said:?}");
    assert!(said[1].starts_with("boss 申请更多额度：今天已用 1，上限 1 个问题。\n原因：没有写"), "{said:?}");
}

#[tokio::test]
async fn what_was_asked_for_is_exported_and_erased_with_the_member() {
    let app = app("requests=1/day").await;
    for member in ["li", "wang"] {
        ask(&app, member, "一").await;
        ask(&app, member, "/申请 秘密").await;
    }
    ask(&app, "boss", "/deny 2").await;
    let (li, boss) = (MemberId::parse("li").unwrap(), MemberId::parse("boss").unwrap());
    let now = qimate::clock::Timestamp::from_secs(1_790_000_000);
    let export =
        qimate::store::member::export(&app.config.storage, &qimate::store::member::Reading::WithoutTexts, &li, now)
            .unwrap();
    assert_eq!(export["asked_for"][0]["limit"], "requests=1/day", "{export}");
    assert_eq!(export["asked_for"][0]["reason"], "秘密");
    qimate::store::member::erase(&app.config.storage, &qimate::model::audit::Actor::Daemon, &li, now).unwrap();
    qimate::store::member::erase(&app.config.storage, &qimate::model::audit::Actor::Daemon, &boss, now).unwrap();
    let left = |sql: &str| app.count(&format!("SELECT COUNT(*) FROM {sql}"));
    assert_eq!(left("quota_request WHERE member = 'li'"), 0);
    assert_eq!(left("outbox WHERE content LIKE 'li %'"), 0, "nor in what operators were told");
    assert_eq!(left("outbox WHERE content LIKE 'wang %'"), 1, "what op was told of the other stays");
    assert_eq!(left("quota_request WHERE member = 'wang' AND decided_by = ''"), 1);
}
