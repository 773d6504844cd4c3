//! Who may use how much: limits that operators set hold for every question, whatever happens, and say so kindly.

use std::time::Duration;

use qimate::{
    clock::Clock,
    config::Config,
    model::{
        id::{CorpId, MemberId},
        person::{Edit, Role},
        quota::{
            plan::{AtLimit, Limit, Plan},
            subject::Subject,
        },
    },
    sandbox::model::ModelReply,
    store::{Store, plans::Holder},
};

mod asking;
mod media;

use serde_json::json;

use crate::{
    company::Company,
    harness::{App, ask},
};

fn corp() -> CorpId {
    CorpId::parse("ww1436e0e65a779aee").unwrap()
}

fn plan(limits: &[&str]) -> Plan {
    Plan { limits: limits.iter().map(|limit| Limit::parse(limit).unwrap()).collect(), ..Plan::default() }
}

/// A daemon in which these plans hold.
async fn app_with(plans: &[(Holder, Plan)], change: impl FnOnce(&mut Config)) -> App {
    let mut app = App::start_with(change).await;
    app.stop().await;
    let now = Clock::Manual(app.clock.clone()).now();
    let store = Store::open(&app.config.storage, now).unwrap();
    for (number, (holder, plan)) in plans.iter().enumerate() {
        let name = format!("plan{number}");
        store.save_plan(&qimate::model::audit::Actor::Daemon, &name, plan, now).await.unwrap();
        assert!(store.attach_plan(&qimate::model::audit::Actor::Daemon, holder, &name, now).await.unwrap());
    }
    drop(store);
    app.launch().await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    app
}

#[tokio::test]
async fn a_member_reads_which_limit_it_is_and_asks_again_the_next_day() {
    let app = app_with(&[(Holder::EveryMember, plan(&["requests=2/day"]))], |config| {
        config.team.contact = Some("张三".to_owned());
    })
    .await;
    assert_eq!(ask(&app, "li", "一").await, "好");
    assert_eq!(ask(&app, "li", "二").await, "好\n（提示：你今天的额度已用 2，上限 2 个问题。）");
    let refused = "你今天的额度不够了：已用 2，上限 2 个问题。9月22日（周二）00:00 恢复。需要更多请联系张三。";
    assert_eq!(ask(&app, "li", "三").await, refused);
    assert_eq!(ask(&app, "wang", "一").await, "好", "it is each member's own");
    assert_eq!(app.model.requests().len(), 3, "nobody asks the model for who may not");
    // It is 22:13 in Shanghai.
    app.clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(ask(&app, "li", "四").await, "好");
}

#[tokio::test]
async fn a_member_sees_what_is_left_of_each_limit() {
    let own = plan(&["requests=2/day", "tokens=1m/lifetime"]);
    let company = (Holder::One(Subject::company(&corp())), plan(&["requests=9/day"]));
    let app = app_with(&[(Holder::EveryMember, own), company], |_| {}).await;
    let limits = |said: String| said.split_once("\n\n你的额度：\n").expect(&said).1.to_owned();
    assert_eq!(
        limits(ask(&app, "li", "/usage").await),
        "今天：已用 0 / 2 个问题，9月22日（周二）00:00 恢复\n总共：已用 0 / 1,000,000 tokens",
        "their own; what all may use together is for operators"
    );
    ask(&app, "li", "一").await;
    assert!(limits(ask(&app, "li", "用量").await).starts_with("今天：已用 1 / 2 个问题，"));
    ask(&app, "li", "/lang en").await;
    assert!(ask(&app, "li", "/usage").await.contains("\n\nYour allowance:\n1 of 2 questions of today; again on Tue"));
}

#[tokio::test]
async fn what_was_used_outlives_the_process_and_what_was_held_does_not() {
    let mut app = app_with(&[(Holder::EveryMember, plan(&["requests=2/month"]))], |_| {}).await;
    assert_eq!(ask(&app, "li", "一").await, "好");
    app.model.set_script(|_| ModelReply::Hang);
    app.say("li", "二").await;
    crate::harness::within(app.model.wait_load(|load| load.in_flight >= 1)).await;
    app.drop_everything().await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    app.launch().await;
    assert_eq!(app.texts("li", 2).await[1], "好", "the question of before is answered, and counts once");
    app.settled().await;
    assert!(ask(&app, "li", "三").await.starts_with("你本月的额度不够了：已用 2，上限 2 个问题。"));
    assert_eq!(app.count("SELECT requests FROM used WHERE subject LIKE 'member/%' AND quarter = -1"), 2);
}

#[tokio::test]
async fn a_department_shares_what_it_has_with_those_below_it() {
    let sales = Holder::One(Subject::department(&corp(), 7));
    let mut app = app_with(&[(sales, plan(&["requests=2/day"]))], |_| {}).await;
    app.stop().await;
    let corp = corp();
    let rows = format!(
        "INSERT INTO department (corp, id, parent, changed_at) VALUES ('{corp}', 7, 1, 0), ('{corp}', 8, 7, 0);
         INSERT INTO member_of (corp, member, department) VALUES ('{corp}', 'li', 7), ('{corp}', 'wang', 8);",
        corp = corp.as_str()
    );
    app.database().execute_batch(&rows).unwrap();
    app.launch().await;
    assert_eq!(ask(&app, "li", "一").await, "好");
    assert_eq!(ask(&app, "wang", "一").await, "好");
    for member in ["li", "wang"] {
        let said = ask(&app, member, "二").await;
        assert!(said.starts_with("你的部门今天的额度不够了：已用 2，上限 2 个问题。"), "{said}");
    }
    assert_eq!(ask(&app, "zhao", "一").await, "好", "who is in no department");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_at_once_on_a_limit_of_ten_let_exactly_ten_through() {
    let company = Holder::One(Subject::company(&corp()));
    let app = app_with(&[(company, plan(&["requests=10/hour"]))], |_| {}).await;
    let members: Vec<String> = (0..200).map(|number| format!("m{number}")).collect();
    for member in &members {
        app.say(member, "喂").await;
    }
    let mut answered = 0;
    for member in &members {
        let said = app.texts(member, 1).await.remove(0);
        answered += usize::from(said == "好");
        assert!(said == "好" || said.starts_with("全公司这一小时的额度不够了"), "{said}");
    }
    assert_eq!((answered, app.model.requests().len()), (10, 10));
}

#[tokio::test]
async fn an_answer_is_only_as_long_as_what_is_left_pays_for() {
    let app = app_with(&[(Holder::EveryMember, plan(&["tokens=2000/week"]))], |_| {}).await;
    ask(&app, "li", "一").await;
    let asked = app.model.requests().pop().unwrap();
    let most = asked.body["max_tokens"].as_u64().unwrap();
    assert!((1500..2000).contains(&most), "{most}");
    assert!(app.count("SELECT tokens FROM used WHERE subject LIKE 'member/%' AND quarter = -1") > 0);
}

#[tokio::test]
async fn as_many_are_answered_at_once_as_the_plan_says() {
    let one = Plan { concurrent: Some(1), ..Plan::default() };
    let app = app_with(&[(Holder::One(Subject::company(&corp())), one)], |_| {}).await;
    app.model.set_script(|_| ModelReply::Hang);
    app.say("li", "一").await;
    crate::harness::within(app.model.wait_load(|load| load.in_flight >= 1)).await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    app.say("wang", "一").await;
    let busy = "全公司同时最多回答 1 个问题，请等前面的回答完再问一次。";
    assert_eq!(app.texts("wang", 1).await, [busy]);
    app.say("li", "/stop").await;
    app.texts("li", 1).await;
    app.settled().await;
    assert_eq!(ask(&app, "wang", "二").await, "好", "what was stopped holds no place");
}

#[tokio::test]
async fn operators_and_owners_are_held_like_everybody() {
    let mut app = app_with(&[(Holder::EveryMember, plan(&["requests=1/day"]))], |config| {
        config.alerts.operators = vec![MemberId::parse("boss").unwrap()];
    })
    .await;
    app.stop().await;
    let now = Clock::Manual(app.clock.clone()).now();
    let store = Store::open(&app.config.storage, now).unwrap();
    let owner = Edit { role: Some(Role::Owner), ..Edit::of(MemberId::parse("owner").unwrap()) };
    store.change_people(&qimate::model::audit::Actor::Daemon, &corp(), vec![owner], now).await.unwrap();
    drop(store);
    app.launch().await;
    for member in ["boss", "owner"] {
        assert!(ask(&app, member, "一").await.starts_with('好'));
        assert!(ask(&app, member, "二").await.starts_with("你今天的额度不够了：已用 1，上限 1 个问题。"), "{member}");
    }
    assert_eq!(app.model.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_lets_go_of_what_it_held() {
    let mut company = Company::open(&[]).await;
    // Makes the database.
    company.start().await;
    company.kill().await;
    for command in ["plan set two --limit requests=2/day", "plan attach two --everyone"] {
        assert!(company.run(&command.split(' ').collect::<Vec<_>>()).await.status.success(), "{command}");
    }
    company.model.set_script(|_| ModelReply::Hang);
    company.start().await;
    assert!(company.wecom.say("li", "一").await.accepted());
    crate::harness::within(company.model.wait_load(|load| load.in_flight >= 1)).await;
    company.kill().await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    company.start().await;
    crate::harness::within(company.wecom.wait_delivered(|all| !all.is_empty())).await;
    until_told(&company, "你今天的额度不够了：已用 2，上限 2 个问题。").await;
}

#[tokio::test]
async fn a_plan_names_its_models_and_the_one_for_when_it_is_used_up() {
    let two_models = |config: &mut Config| {
        let mut upstream = config.llm.all_upstreams().remove(0);
        let mut other = upstream.models[0].clone();
        (other.alias, other.name) = ("cheap".into(), "cheap".to_owned());
        upstream.models.push(other);
        config.llm.upstreams = vec![upstream];
    };
    let limited = Plan { at_limit: AtLimit::Model("cheap".to_owned()), ..plan(&["requests=1/day"]) };
    let only_cheap = Plan { models: Some(["cheap".to_owned()].into()), ..Plan::default() };
    let wang = Holder::One(Subject::member(&corp(), &MemberId::parse("Wang").unwrap()));
    let app = app_with(&[(Holder::EveryMember, limited), (wang, only_cheap)], two_models).await;
    let asked = || app.model.requests().pop().unwrap().body["model"].as_str().unwrap().to_owned();
    ask(&app, "li", "一").await;
    assert_eq!(asked(), "qimate-demo");
    assert_eq!(ask(&app, "li", "二").await, "好");
    assert_eq!(asked(), "cheap");
    let refused = "你的方案里没有模型 qimate-demo。发送 /model 换一个，或联系管理员。";
    assert_eq!(ask(&app, "wang", "一").await, refused);
    ask(&app, "wang", "/model cheap").await;
    assert_eq!(ask(&app, "wang", "一").await, "好");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_set_by_command_is_felt_at_once() {
    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    company.start().await;
    let run = async |arguments: &str| {
        let output = company.run(&arguments.split(' ').collect::<Vec<_>>()).await;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    };
    let ask = async |expected: &str| {
        let before = company.wecom.messages_for("li").len();
        assert!(company.wecom.say("li", "喂").await.accepted());
        crate::harness::within(company.wecom.wait_delivered(|all| all.len() > before)).await;
        let said = company.wecom.messages_for("li")[before].content.clone();
        assert!(said.starts_with(expected), "{said}");
    };
    ask("好").await;
    assert!(run("plan").await.1.contains("no plans yet"));
    assert!(run("plan set small --limit requests=1/day --limit money=0.50/month").await.0);
    for (wrong, why) in [
        ("plan set small --limit requests=1/daily", "expected hour, day, week"),
        ("plan set small --limit 5/day", "expected MEASURE=AMOUNT/WINDOW"),
        ("plan set small --limit requests=1/day --limit requests=2/day", "limited already"),
        ("plan set small --models gpt-9", "there is no model gpt-9; there are qimate-demo"),
        ("plan attach large --everyone", "there is no plan large"),
        ("plan attach small", "--everyone"),
        ("plan detach --company", "no plan is attached"),
        ("grant add --member li", "say how much"),
        ("grant add --everyone --requests 1", "say whom"),
        ("grant revoke 7", "there is no grant 7"),
    ] {
        let (well, said) = run(wrong).await;
        assert!(!well && said.contains(why), "{wrong}: {said}");
    }
    assert!(run("plan attach small --everyone").await.0);
    assert!(run("plan remove small").await.1.contains("is attached in 1 places"));
    // What was used before the plan counts.
    until_told(&company, "你今天的额度不够了").await;
    let (_, granted) = run("grant add --member LI --requests 1000 --days 2 --reason 加班").await;
    assert!(granted.contains("granted (number 1): requests +1000 until "), "{granted}");
    until_told(&company, "好").await;
    let (_, listed) = run("plan list --json").await;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["plans"][0]["limits"], serde_json::json!(["requests=1/day", "money=0.50/month"]));
    assert_eq!((&listed["plans"][0]["for"][0], &listed["grants"][0]["reason"]), (&"member".into(), &"加班".into()));
    assert!(run("grant revoke 1").await.0 && run("plan detach --everyone").await.0 && run("plan remove small").await.0);
}

/// Where no upstreams are listed, the model of an application is one that can be asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_may_name_the_model_of_an_application() {
    let mut company = Company::open(&[]).await;
    for (key, value) in [
        ("API_BASE", company.wecom.api_base().as_str()),
        ("CORP_ID", "ww1436e0e65a779aee"),
        ("AGENT_ID", "1000099"),
        ("SECRET", "gLLf3eGd0gFiVCXnHqHXFG28mMOnCM4mJZ0dNNlOa0k"),
        ("CALLBACK_TOKEN", "QDG6eK"),
        ("ENCODING_AES_KEY", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"),
        ("MODEL", "hr-model"),
    ] {
        company.set(&format!("QIMATE_APPS__HR__{key}"), value);
    }
    company.start().await;
    let output = company.run(&["plan", "set", "hr", "--models", "hr-model"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = company.run(&["plan", "set", "hr", "--models", "gpt-9"]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("there is no model gpt-9; there are hr-model, qimate-demo"), "{said}");
}

/// Asks, not faster than a member may be written to, until the daemon has felt the command and answers so.
async fn until_told(company: &Company, beginning: &str) {
    crate::harness::within(async {
        loop {
            let before = company.wecom.messages_for("li").len();
            assert!(company.wecom.say("li", "喂").await.accepted());
            company.wecom.wait_delivered(|all| all.len() > before).await;
            if company.wecom.messages_for("li")[before].content.starts_with(beginning) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_did_is_told_to_programs() {
    let mut company = Company::open(&[]).await;
    company.start().await;
    let run = async |line: &str| company.json(line).await;
    let set = run("plan set small --limit requests=1/day --concurrent 2").await;
    assert_eq!(
        (&set["name"], &set["limits"][0], &set["concurrent"]),
        (&json!("small"), &json!("requests=1/day"), &json!(2))
    );
    let attached = run("plan attach small --member li").await;
    assert_eq!(attached, json!({ "plan": "small", "for": ["member/ww1436e0e65a779aee/li"] }));
    let granted = run("grant add --member li --requests 5 --money 1.5").await;
    assert_eq!((&granted[0]["id"], &granted[0]["requests"]), (&json!(1), &json!(5)));
    assert_eq!(granted[0]["money_micros"], 1_500_000);
    let listed = run("plan list").await;
    assert_eq!((&listed["grants"][0], &listed["plans"][0]["for"]), (&granted[0], &attached["for"]));
    assert_eq!(run("grant revoke 1").await, json!({ "revoked": 1 }));
    assert_eq!(run("plan detach --member li").await, json!({ "detached": attached["for"] }));
    assert_eq!(run("plan remove small").await, json!({ "removed": "small" }));
    let hours = run("department hours always --everyone").await;
    assert_eq!(hours, json!({ "department": null, "hours": "always" }));
    assert_eq!(run("usage rebuild").await, json!({ "calls": 0 }));
    company.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_words_nobody_reads_ends_without_one() {
    let mut company = Company::open(&[]).await;
    company.start().await;
    for command in [&["plan", "list", "--json"][..], &["audit", "head"], &["check-config"]] {
        let output = company.run_unread(command).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(141), "{command:?}: {said}");
        assert!(!said.contains("panicked"), "{command:?}: {said}");
    }
    company.terminate().await;
}
