//! `/admin/api/members`, `/admin/api/departments` and `/admin/api/usage`: what `qimate member`, `qimate department` and
//! `qimate usage` do and show, felt at once.

use qimate::model::operator::Role;
use serde_json::{Value, json};

use super::{Scene, asked::Program};
use crate::harness::{ask, within};

#[tokio::test]
async fn a_member_is_blocked_and_let_in_again_and_what_is_left_out_stays() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Operator).await;
    assert_eq!(owner.get("/members/ZhangSan").await.status, 404, "nobody yet");
    let made = owner.patch("/members/ZhangSan", json!({"note": "新来的", "expires": "2099-12-31"})).await;
    assert_eq!(
        (made.status, &made.body["userid"], &made.body["expires"]),
        (201, &json!("ZhangSan"), &json!("2099-12-31"))
    );
    ask(&scene.app, "zhangsan", "一").await;

    let blocked = owner.patch("/members/zhangsan", json!({"blocked": true, "blocked_reason": "刷屏"})).await;
    assert_eq!((blocked.status, &blocked.body["blocked"]), (200, &json!(true)), "{:#}", blocked.body);
    assert_eq!((&blocked.body["blocked_reason"], &blocked.body["note"]), (&json!("刷屏"), &json!("新来的")));
    let refused = ask(&scene.app, "zhangsan", "二").await;
    assert!(refused.contains("管理员暂停"), "it was felt before it was answered: {refused}");
    assert_eq!(scene.app.model.requests().len(), 1);

    let seen = owner.get("/members/zhangsan").await;
    assert_eq!((seen.etag(), &seen.body["blocked"]), (blocked.etag(), &json!(true)));
    let let_in = json!({"blocked": false, "premium": "off", "hours": "always", "role": "auditor"});
    let done = owner.ask(reqwest::Method::PATCH, "/members/zhangsan", &let_in, &[("if-match", seen.etag())]).await;
    assert_eq!((done.status, &done.body["blocked_reason"]), (200, &Value::Null), "{:#}", done.body);
    assert_eq!((&done.body["premium"], &done.body["role"]), (&json!("off"), &json!("auditor")));
    let late = owner.ask(reqwest::Method::PATCH, "/members/zhangsan", &let_in, &[("if-match", seen.etag())]).await;
    assert_eq!((late.status, late.problem()), (412, "precondition-failed"), "of two writers one wins");
    ask(&scene.app, "zhangsan", "三").await;
    assert_eq!(scene.app.model.requests().len(), 2);

    for (body, pointer) in [
        (json!({"role": "boss"}), "/role"),
        (json!({"expires": "gestern"}), "/expires"),
        (json!({"premium": "yes"}), "/premium"),
        (json!({"hours": "25:00"}), "/hours"),
        (json!({"note": "a\nb"}), "/note"),
        (json!({"blocked_reason": "x"}), "/blocked_reason"),
        (json!({"blocked": false, "blocked_reason": "x"}), "/blocked_reason"),
    ] {
        let refused = owner.patch("/members/zhangsan", body.clone()).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    assert_eq!(owner.patch("/members/zhangsan", json!({"blocks": true})).await.status, 400);
    assert_eq!(owner.get("/members/zhangsan").await.etag(), done.etag(), "nothing of it was done");
}

#[tokio::test]
async fn members_and_departments_come_in_pages() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    for n in 0..5 {
        assert_eq!(owner.patch(&format!("/members/m{n}"), json!({})).await.status, 201);
    }
    let first = owner.get("/members?limit=3").await;
    assert_eq!(owner.patch("/members/m1x", json!({})).await.status, 201, "before the cursor");
    let second = owner.get(&format!("/members?limit=3&cursor={}", first.text("next"))).await;
    let names = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|one| one["userid"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (names(&first.body), names(&second.body)),
        (vec!["m0".into(), "m1".into(), "m2".into()], vec!["m3".to_owned(), "m4".to_owned()])
    );
    assert_eq!(second.body["next"], Value::Null);
    assert_eq!(owner.get("/members?corp=ww2").await.status, 422);

    scene
        .app
        .database()
        .execute_batch("INSERT INTO department (corp, id, parent, name, changed_at) VALUES ('ww1436e0e65a779aee', 7, 1, '研发', 1)")
        .unwrap();
    let all = owner.get("/departments").await;
    assert_eq!(all.body["items"], json!([{"id": 7, "parent": 1, "name": "研发", "members": 0, "hours": null}]));
    let set = owner.put("/departments/7/hours", json!({"hours": "Mon-Fri 08:00-20:00"})).await;
    assert_eq!((set.status, &set.body["hours"]), (200, &json!("Mon-Fri 08:00-20:00")));
    assert_eq!(owner.get("/departments").await.body["items"][0]["hours"], "Mon-Fri 08:00-20:00");
    assert_eq!(owner.put("/departments/7/hours", json!({"hours": "inherit"})).await.status, 200);
    assert_eq!(owner.get("/departments").await.body["items"][0]["hours"], Value::Null);
    assert_eq!(owner.put("/departments/8/hours", json!({"hours": "always"})).await.status, 404);
    let wrong = owner.put("/departments/0/hours", json!({"hours": "nachts"})).await;
    assert_eq!((wrong.status, &wrong.body["errors"][0]["pointer"]), (422, &json!("/hours")));
}

#[tokio::test]
async fn what_was_used_is_told_over_time_and_by_names() {
    let scene = Scene::open().await;
    let auditor = Program::of(&scene, "wang", Role::Auditor).await;
    ask(&scene.app, "zhangsan", "一").await;
    ask(&scene.app, "lisi", "一").await;
    within(async {
        while auditor.get("/usage?last=1d").await.body["total"]["calls"] != 2 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    let over_time = auditor.get("/usage").await.body;
    assert_eq!((over_time["lines"].as_array().unwrap().len(), &over_time["currency"]), (1, &json!("元")));
    assert!(over_time["lines"][0]["at_ms"].is_i64() && over_time["lines"][0]["name"].is_null());
    let by_member = auditor.get("/usage?by=member&last=24h").await.body;
    let names: Vec<_> = by_member["lines"].as_array().unwrap().iter().map(|line| line["name"].clone()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&json!("ww1436e0e65a779aee/zhangsan")), "{names:?}");
    assert_eq!(auditor.get("/usage?from=2001-01-01&to=2001-01-02").await.body["total"]["calls"], 0);
    for wrong in ["by=nose", "last=x", "last=1d&from=2026-01-01", "from=x", "to=x", "from=2026-01-02&to=2026-01-01"] {
        let refused = auditor.get(&format!("/usage?{wrong}")).await;
        assert_eq!((refused.status, refused.problem()), (422, "invalid"), "{wrong}: {:#}", refused.body);
    }
}
