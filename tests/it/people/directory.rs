//! What WeCom says of its address book: by lists, and by events.

use std::time::Duration;

use qimate::{
    clock::Clock,
    model::{
        id::{AgentId, AppKey, MemberId},
        person::{Edit, Person, Role},
    },
    sandbox::emulator::contacts::Book,
};

use super::{app, ask, beside, change, corp, of};
use crate::{
    company::Company,
    harness::{App, within},
};

const OUTSIDE: &str = "抱歉，你现在不在这个应用的可见范围内，我不能回答。如有疑问，请联系管理员。";

fn book() -> Book {
    let department = |id, parent, name: &str| (id, parent, name.to_owned());
    let member =
        |userid: &str, name: &str, departments: &[u64]| (userid.to_owned(), name.to_owned(), departments.to_vec());
    Book {
        departments: vec![
            department(1, 0, "企业"),
            department(2, 1, "研发"),
            department(5, 2, "后端"),
            department(6, 1, "销售"),
        ],
        members: vec![
            member("Li", "李四", &[2]),
            member("wang", "王五", &[5, 6]),
            member("zhao", "赵六", &[6]),
            member("boss", "老板", &[1]),
        ],
        visible_members: vec!["boss".to_owned()],
        visible_departments: vec![2],
        ..Book::default()
    }
}

async fn person(app: &App, member: &str) -> Person {
    beside(app).find_person(&corp(), &MemberId::parse(member).unwrap()).await.unwrap().unwrap()
}

/// Starts the daemon anew with a sync at start, and waits until `times` more were kept.
async fn start_syncing(app: &mut App) {
    app.stop().await;
    app.config.team.sync = Some(Duration::from_secs(24 * 3600));
    app.launch().await;
    synced_at(app, 1_790_000_000).await;
}

async fn synced_at(app: &App, secs: i64) {
    let store = beside(app);
    let key = AppKey::new(&corp(), AgentId::new(1_000_002));
    within(async {
        while store.last_sync(&key).await.unwrap().is_none_or(|last| last.at.as_secs() < secs) {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_complete_list_brings_names_and_keeps_out_who_is_not_in_it() {
    let mut app = app(|_| {}).await;
    app.wecom.set_book(book());
    assert_eq!(ask(&app, "zhao", "喂").await, "好", "before anything is known, everybody is answered");
    // Who wrote for the first time while a list was read came into the range meanwhile.
    app.clock.advance(Duration::from_secs(60));
    start_syncing(&mut app).await;
    let wang = person(&app, "WANG").await;
    assert_eq!((wang.name.as_deref(), wang.departments.as_slice()), (Some("王五"), &[5, 6][..]));
    assert_eq!(beside(&app).departments_of(&corp(), &wang.member).await.unwrap(), [5, 6, 2, 1]);
    assert_eq!(person(&app, "boss").await.name.as_deref(), Some("老板"), "named one by one");
    let departments = beside(&app).departments(&corp()).await.unwrap();
    let names: Vec<_> = departments.iter().map(|one| (one.id, one.parent, one.name.as_deref())).collect();
    assert_eq!(names, [(2, 1, Some("研发")), (5, 2, Some("后端"))]);
    assert_eq!(ask(&app, "zhao", "喂").await, OUTSIDE);
    assert_eq!(ask(&app, "zhao", "/help").await, OUTSIDE);
    assert_eq!(ask(&app, "li", "喂").await, "好");
    // On schedule, a day later, they are in again.
    let mut wider = book();
    wider.visible_departments = vec![1];
    app.wecom.set_book(wider);
    app.advance_to_sleeper(86_400.0..=86_400.0).await;
    synced_at(&app, 1_790_086_400).await;
    within(async { while ask(&app, "zhao", "喂").await != "好" {} }).await;
}

#[tokio::test]
async fn a_list_that_is_not_everybody_takes_nobodys_access_away() {
    let mut app = app(|_| {}).await;
    assert_eq!(ask(&app, "zhao", "喂").await, "好");
    // What the application may not read, as a whole or in the middle of it; a range with tags; a range without anybody.
    for what in 0..6 {
        let mut book = book();
        app.wecom.refuse_contacts(None);
        match what {
            0 => app.wecom.refuse_contacts(Some(60011)),
            1 => app.wecom.refuse_contacts(Some(48002)),
            2 => app.wecom.refuse_contacts(Some(60020)),
            3 => book.refused_department = Some((5, 60011)),
            4 => book.visible_tags = vec![1],
            _ => (book.visible_members, book.visible_departments) = (Vec::new(), Vec::new()),
        }
        app.wecom.set_book(book);
        app.database().execute("DELETE FROM directory", []).unwrap();
        start_syncing(&mut app).await;
        assert_eq!(ask(&app, "zhao", "喂").await, "好", "{what}");
        assert_eq!(app.count("SELECT COUNT(*) FROM visible WHERE is_in = 0"), 0, "{what}");
        assert_eq!(app.count("SELECT COUNT(*) FROM directory WHERE failure IS NOT NULL"), 1, "{what}");
        app.clock.advance(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn who_leaves_the_range_or_the_enterprise_loses_access_at_once() {
    let app = app(|_| {}).await;
    assert_eq!(ask(&app, "li", "喂").await, "好");
    let asked = app.model.requests().len();
    app.clock.advance(Duration::from_secs(5));
    assert!(within(app.wecom.event("Li", "unsubscribe")).await.accepted());
    assert_eq!(ask(&app, "li", "喂").await, OUTSIDE);
    assert_eq!(person(&app, "li").await.outside, [1_000_002]);
    // An older event that comes late changes nothing.
    let late = "<xml><ToUserName>ww1436e0e65a779aee</ToUserName><FromUserName>li</FromUserName>\
                <CreateTime>1790000001</CreateTime><MsgType>event</MsgType><Event>subscribe</Event>\
                <AgentID>1000002</AgentID></xml>";
    assert!(within(app.wecom.raw("li", late)).await.accepted());
    assert_eq!(ask(&app, "li", "喂").await, OUTSIDE);
    app.clock.advance(Duration::from_secs(5));
    assert!(within(app.wecom.event("li", "subscribe")).await.accepted());
    assert_eq!(ask(&app, "li", "喂").await, "好");

    app.clock.advance(Duration::from_secs(5));
    assert!(within(app.wecom.change_contact("delete_user", &[("UserID", "LI")])).await.accepted());
    assert_eq!(ask(&app, "li", "/help").await, OUTSIDE);
    assert_eq!(app.model.requests().len(), asked + 1);
    // An administrator knows better.
    change(&app, vec![Edit { readmit: true, ..of("li") }]).await;
    assert_eq!(ask(&app, "li", "喂").await, "好");
    app.clock.advance(Duration::from_secs(5));
    assert!(within(app.wecom.change_contact("update_user", &[("UserID", "li"), ("Status", "2")])).await.accepted());
    assert_eq!(ask(&app, "li", "喂").await, OUTSIDE, "disabled");
    app.clock.advance(Duration::from_secs(5));
    assert!(within(app.wecom.change_contact("update_user", &[("UserID", "li"), ("Status", "1")])).await.accepted());
    assert_eq!(ask(&app, "li", "喂").await, "好");
}

#[tokio::test]
async fn events_keep_names_and_departments_and_a_new_userid_takes_everything_along() {
    let app = app(|_| {}).await;
    let heard = async |change: &str, fields: &[(&str, &str)]| {
        assert!(within(app.wecom.change_contact(change, fields)).await.accepted(), "{change}");
    };
    heard("create_party", &[("Id", "2"), ("Name", "研发"), ("ParentId", "1")]).await;
    heard("create_party", &[("Id", "5"), ("Name", "后端"), ("ParentId", "2")]).await;
    let mobile = ("Mobile", "13800000000");
    heard("create_user", &[("UserID", "Li"), ("Name", "李四"), ("Department", "5,6"), mobile]).await;
    let li = person(&app, "li").await;
    assert_eq!((li.name.as_deref(), li.departments.as_slice(), li.first_at), (Some("李四"), &[5, 6][..], None));
    heard("update_party", &[("Id", "5"), ("Name", "平台")]).await;
    heard("delete_party", &[("Id", "6")]).await;
    assert_eq!(beside(&app).departments_of(&corp(), &li.member).await.unwrap(), [5, 2, 1]);
    assert_eq!(app.count("SELECT COUNT(*) FROM inbox WHERE event LIKE '%138%'"), 0, "no telephone number is kept");

    let now = Clock::Manual(app.clock.clone()).now();
    let until = Some(now + Duration::from_secs(60));
    let edit =
        Edit {
            role: Some(Role::Auditor), expires_at: Some(until), blocked: Some(Some("刷屏".to_owned())), ..of("li")
        };
    change(&app, vec![edit]).await;
    heard("update_user", &[("UserID", "li"), ("NewUserID", "lisi"), ("Name", "李四四")]).await;
    let lisi = person(&app, "lisi").await;
    assert_eq!(
        (lisi.role, lisi.blocked.as_deref(), lisi.name.as_deref()),
        (Role::Auditor, Some("刷屏"), Some("李四四"))
    );
    assert_eq!((lisi.expires_at, lisi.departments.as_slice()), (until, &[5][..]));
    assert!(ask(&app, "lisi", "喂").await.starts_with("抱歉，管理员暂停了你对我的使用。"));
    let people = beside(&app).people(&corp()).await.unwrap();
    assert_eq!(people.iter().filter(|person| person.member.as_str() == "li").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_by_command_is_felt_by_the_daemon_and_says_what_came_of_it() {
    let mut company = Company::open(&[]).await;
    company.start().await;
    company.wecom.set_book(book());
    let output = company.run(&["member", "sync", "--json"]).await;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said[0]["members"], &said[0]["complete"]), (&3.into(), &true.into()), "{said}");
    let listed = company.run(&["department"]).await;
    assert!(String::from_utf8_lossy(&listed.stdout).contains("后端"));
    company.wecom.refuse_contacts(Some(60020));
    let output = company.run(&["member", "sync"]).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && said.contains("WeCom refuses 60020: enter this machine's address"), "{said}");
    assert!(said.contains("nobody's access changed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_is_told_by_status_and_doctor_until_one_succeeds() {
    let port = crate::harness::free_port();
    let mut company = Company::open(&[
        ("QIMATE_SERVER__OPERATIONS_LISTEN", &format!("127.0.0.1:{port}")),
        ("QIMATE_CHAT__LANGUAGE", "en"),
    ])
    .await;
    company.start().await;
    company.wecom.set_book(book());
    // The daemon looks into its store once a second.
    let told = async |company: &Company, is_unread: bool| {
        let find = |text: Vec<u8>| -> Option<String> {
            let text = String::from_utf8(text).unwrap();
            text.lines().find(|line| line.contains("ddress book")).map(str::to_owned)
        };
        loop {
            let json = company.run(&["status", "--json"]).await;
            let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
            let unread = json["unread_directories"].clone();
            if unread.is_array() == is_unread {
                let (status, doctor) = (company.run(&["status"]).await, company.run(&["doctor"]).await);
                return (find(status.stdout), find(doctor.stdout), unread);
            }
        }
    };
    assert_eq!(within(told(&company, false)).await, (None, None, serde_json::Value::Null), "nobody tried yet");
    company.wecom.refuse_contacts(Some(60011));
    assert!(!company.run(&["member", "sync"]).await.status.success());
    let (status, doctor, json) = within(told(&company, true)).await;
    let (status, doctor) = (status.unwrap(), doctor.unwrap());
    assert!(status.contains("NOT READ") && status.contains("(errcode 60011)") && status.contains(" ago "), "{status}");
    assert!(status.contains("run qimate member sync"), "{status}");
    assert!(doctor.contains("! Address book") && doctor.contains("(errcode 60011, 20"), "{doctor}");
    assert_eq!(json[0]["errcode"], 60011);
    company.wecom.refuse_contacts(None);
    assert!(company.run(&["member", "sync"]).await.status.success());
    let (status, doctor, json) = within(told(&company, false)).await;
    assert_eq!((status, json), (None, serde_json::Value::Null));
    assert!(doctor.unwrap().contains("✓ Address book"));
}
