//! Who may ask, what, and when: roles, dates, hours and blocks, whoever changed them and however.

mod by_command;
mod directory;

use std::time::Duration;

use qimate::{
    clock::Clock,
    config::Config,
    model::{
        id::{CorpId, MemberId},
        person::{Edit, Premium, Role, hours::ServiceHours},
        quota::subject::Subject,
    },
    sandbox::model::ModelReply,
    store::Store,
};

use crate::harness::{App, ask};

pub fn corp() -> CorpId {
    CorpId::parse("ww1436e0e65a779aee").unwrap()
}

pub fn of(member: &str) -> Edit {
    Edit::of(MemberId::parse(member).unwrap())
}

pub async fn app(change: impl FnOnce(&mut Config)) -> App {
    let app = App::start_with(change).await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    app
}

/// The store as a command opens it, beside the daemon.
pub fn beside(app: &App) -> Store {
    Store::open_beside(&app.config.storage).unwrap()
}

pub async fn change(app: &App, edits: Vec<Edit>) {
    let now = Clock::Manual(app.clock.clone()).now();
    beside(app).change_people(&qimate::model::audit::Actor::Daemon, &corp(), edits, now).await.unwrap();
}

#[tokio::test]
async fn a_member_appears_with_the_first_message() {
    let app = app(|_| {}).await;
    assert!(beside(&app).people(&corp()).await.unwrap().is_empty());
    ask(&app, "ZhangSan", "/help").await;
    let people = beside(&app).people(&corp()).await.unwrap();
    assert_eq!((people.len(), people[0].member.as_str(), people[0].role), (1, "ZhangSan", Role::Member));
    assert_eq!(people[0].first_at.map(|at| at.as_secs()), Some(1_790_000_000));
}

#[tokio::test]
async fn a_stored_role_gives_what_it_says_and_no_more() {
    let app = app(|config| config.alerts.operators = vec![MemberId::parse("boss").unwrap()]).await;
    let role = |member, role| Edit { role: Some(role), ..of(member) };
    change(
        &app,
        vec![
            role("owner", Role::Owner),
            role("op", Role::Operator),
            role("look", Role::Auditor),
            Edit { departments: Some(vec![2]), ..role("lead", Role::Manager) },
            Edit { departments: Some(vec![5]), ..of("dev") },
            Edit { departments: Some(vec![6]), ..of("seller") },
        ],
    )
    .await;
    app.database().execute_batch("INSERT INTO department VALUES ('ww1436e0e65a779aee', 5, 2, '后端', 0)").unwrap();
    const NOT: &str = "这个命令只有管理员能用。需要的话，请联系管理员。";
    for (member, status, block, announce) in [
        ("op", true, true, true),
        ("look", true, false, false),
        ("lead", false, true, false),
        ("dev", false, false, false),
    ] {
        let may = async |command: &str| ask(&app, member, command).await != NOT;
        assert_eq!(may("/status").await, status, "{member}");
        assert_eq!(may("/block nobody").await, block, "{member}");
        assert_eq!(may("/announce 放假").await, announce, "{member}");
        assert_eq!(ask(&app, member, "/help").await.contains("/block 账号"), block, "{member}");
    }
    assert!(ask(&app, "look", "/help").await.contains("管理员命令：\n/status（/状态）运行状态\n/blocked"));
    // A manager decides about the own departments and those below, and about nobody who stands as high.
    assert_eq!(ask(&app, "lead", "/block seller").await, "这位成员不在你的部门里，请联系管理员。");
    assert_eq!(ask(&app, "lead", "/block look").await, "不能停用管理员。");
    assert!(ask(&app, "lead", "/block dev 太多").await.starts_with("好的，已停用 dev。"));
    assert!(ask(&app, "dev", "喂").await.starts_with("抱歉，管理员暂停了你对我的使用。"));
    assert!(ask(&app, "op", "/block seller").await.starts_with("好的，已停用 seller。"));
    assert_eq!(ask(&app, "lead", "/blocked").await, "已停用：\n2026-09-21 22:13 dev：太多");
    assert_eq!(ask(&app, "lead", "/unblock seller").await, "这位成员不在你的部门里，请联系管理员。");
    assert_eq!(ask(&app, "look", "/blocked").await.lines().count(), 4, "an auditor sees all of them");
    // Operators of the configuration are operators, and owners are above them.
    assert_eq!(ask(&app, "boss", "/block owner").await, "不能停用管理员。");
    assert!(ask(&app, "owner", "/block boss").await.starts_with("好的，已停用 boss。"));
    change(&app, vec![role("look", Role::Member)]).await;
    assert_eq!(ask(&app, "look", "/status").await, NOT, "felt with the next message");
}

#[tokio::test]
async fn whose_access_ended_reads_so_and_comes_back_with_a_new_date() {
    let app = app(|config| config.team.contact = Some("张三".to_owned())).await;
    let zone = app.config.chat.time_zone.clone();
    // It is Monday, 22:13, in Shanghai.
    let expires_at = Some(zone.after_date("2026-09-21"));
    change(&app, vec![Edit { expires_at, ..of("li") }]).await;
    assert_eq!(ask(&app, "li", "喂").await, "好");
    app.clock.advance(Duration::from_secs(2 * 3600));
    let ended = "抱歉，你的使用期限已到（2026-09-21 为最后一天）。需要延期请联系张三。";
    assert_eq!(ask(&app, "li", "喂").await, ended);
    assert_eq!(ask(&app, "li", "/retry").await, ended);
    assert_eq!(app.model.requests().len(), 1, "the model is not asked");
    change(&app, vec![Edit { expires_at: Some(None), ..of("LI") }]).await;
    assert_eq!(ask(&app, "li", "喂").await, "好");
}

#[tokio::test]
async fn outside_the_service_hours_a_question_waits_for_them_and_a_command_does_not() {
    let app = app(|_| {}).await;
    let (store, now) = (beside(&app), Clock::Manual(app.clock.clone()).now());
    let hours = |text| ServiceHours::parse(text).unwrap();
    let office = hours("Mon-Fri 08:00-20:00");
    store
        .set_hours(&qimate::model::audit::Actor::Daemon, &Subject::company(&corp()), Some(&office), now)
        .await
        .unwrap();
    let closed = "现在不在服务时间内，9月22日（周二）08:00 开始可以提问。如有疑问，请联系管理员。";
    for message in ["喂", "/retry", "画一只猫"] {
        assert_eq!(ask(&app, "li", message).await, closed, "{message}");
    }
    assert!(ask(&app, "li", "/help").await.starts_with("直接发消息"));
    // A department's hours go before everybody's, the nearest first, and a member's own before all.
    app.database().execute_batch("INSERT INTO department VALUES ('ww1436e0e65a779aee', 5, 2, '后端', 0)").unwrap();
    change(
        &app,
        vec![Edit { departments: Some(vec![5]), ..of("dev") }, Edit { departments: Some(vec![6]), ..of("hr") }],
    )
    .await;
    let department = |id| Subject::department(&corp(), id);
    store
        .set_hours(&qimate::model::audit::Actor::Daemon, &department(2), Some(&hours("Mon-Sun 22:00-06:00")), now)
        .await
        .unwrap();
    assert_eq!(ask(&app, "dev", "喂").await, "好");
    assert_eq!(ask(&app, "hr", "喂").await, closed);
    store
        .set_hours(&qimate::model::audit::Actor::Daemon, &department(5), Some(&hours("Tue 09:00-10:00")), now)
        .await
        .unwrap();
    assert!(ask(&app, "dev", "喂").await.contains("9月22日（周二）09:00 开始"));
    change(&app, vec![Edit { hours: Some(Some(hours("always"))), ..of("dev") }]).await;
    assert_eq!(ask(&app, "dev", "喂").await, "好");
    app.clock.advance(Duration::from_secs(10 * 3600));
    assert_eq!(ask(&app, "li", "喂").await, "好", "it is 08:13");
}

#[tokio::test]
async fn a_premium_model_has_a_date_of_its_own_and_the_others_go_on() {
    let two_models = |config: &mut Config| {
        let mut upstream = config.llm.all_upstreams().remove(0);
        let mut other = upstream.models[0].clone();
        (other.alias, other.name, other.premium) = ("smart".into(), "smart".to_owned(), true);
        upstream.models.push(other);
        config.llm.upstreams = vec![upstream];
    };
    let app = app(two_models).await;
    ask(&app, "li", "/model smart").await;
    assert_eq!(ask(&app, "li", "喂").await, "好");
    change(&app, vec![Edit { premium: Some(Premium::Off), ..of("li") }]).await;
    let refused = "你还不能使用高级模型，smart 是其中之一。发送 /model 换一个，或联系管理员。";
    assert_eq!(ask(&app, "li", "喂").await, refused);
    let until = app.config.chat.time_zone.after_date("2026-09-20").unwrap();
    change(&app, vec![Edit { premium: Some(Premium::Until(until)), ..of("li") }]).await;
    assert!(ask(&app, "li", "喂").await.starts_with("你使用高级模型的期限已到（2026-09-20 为最后一天）"));
    assert_eq!(app.model.requests().len(), 1);
    ask(&app, "li", "/model 默认").await;
    assert_eq!(ask(&app, "li", "喂").await, "好");
}
