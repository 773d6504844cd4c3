//! `/admin/api/plans`: what `qimate plan` does, felt at once.

use qimate::model::operator::Role;
use serde_json::{Value, json};

use super::{Scene, asked::Program};
use crate::harness::ask;

#[tokio::test]
async fn a_plan_is_made_attached_felt_and_taken_away() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Operator).await;
    let made = owner.put("/plans/小", json!({"limits": ["requests=1/day"], "without": ["voice"]})).await;
    assert_eq!(
        (made.status, &made.body),
        (
            201,
            &json!({
                "name": "小", "limits": ["requests=1/day"], "concurrent": null, "models": null, "without": ["voice"],
                "then": null, "for": [],
            })
        )
    );
    let attached = owner.post("/plans/小/attach", json!({"everyone": true})).await;
    assert_eq!((attached.status, &attached.body["for"]), (200, &json!(["member"])));
    ask(&scene.app, "zhangsan", "一").await;
    let refused = ask(&scene.app, "zhangsan", "二").await;
    assert!(refused.contains("1"), "{refused}");
    assert_eq!(scene.app.model.requests().len(), 1, "it was felt before it was answered: {refused}");

    for (body, holder) in [
        (json!({"company": true}), "company/ww1436e0e65a779aee"),
        (json!({"department": 7}), "department/ww1436e0e65a779aee/7"),
        (json!({"member": "Wang"}), "member/ww1436e0e65a779aee/wang"),
    ] {
        let attached = owner.post("/plans/小/attach", body.clone()).await;
        assert!(attached.body["for"].as_array().unwrap().contains(&json!(holder)), "{:#}", attached.body);
        let detached = owner.post("/plans/小/detach", body.clone()).await;
        assert_eq!((detached.status, &detached.body["for"]), (200, &json!(["member"])));
        assert_eq!(owner.post("/plans/小/detach", body).await.status, 404, "it is not there any more");
    }
    let key = owner.post("/keys", json!({"name": "x"})).await.text("id");
    let attached = owner.post("/plans/小/attach?corp=ww1436e0e65a779aee", json!({"key": key})).await;
    assert_eq!(attached.body["for"][0], format!("key/ww1436e0e65a779aee/{key}"));
    assert_eq!(owner.delete(&format!("/keys/{key}")).await.status, 204, "and it goes with the key");
    // Only this plan is taken away: what somebody else attached there meanwhile stays.
    assert_eq!(owner.put("/plans/other", json!({})).await.status, 201);
    assert_eq!(owner.post("/plans/other/attach", json!({"everyone": true})).await.status, 200);
    assert_eq!(owner.post("/plans/小/detach", json!({"everyone": true})).await.status, 404);
    let refused = owner.delete("/plans/other").await;
    assert_eq!((refused.status, refused.problem()), (409, "conflict"));
    assert_eq!(owner.post("/plans/other/detach", json!({"everyone": true})).await.status, 200);
    assert_eq!(owner.delete("/plans/other").await.status, 204);
    assert_eq!(owner.delete("/plans/other").await.status, 404);
    ask(&scene.app, "zhangsan", "三").await;
    assert_eq!(scene.app.model.requests().len(), 2, "nothing limits any more");
}

#[tokio::test]
async fn a_grant_lets_somebody_use_more_until_it_is_taken_back() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Operator).await;
    assert_eq!(owner.put("/plans/one", json!({"limits": ["requests=1/day"]})).await.status, 201);
    assert_eq!(owner.post("/plans/one/attach", json!({"everyone": true})).await.status, 200);
    ask(&scene.app, "zhangsan", "一").await;
    ask(&scene.app, "zhangsan", "二").await;
    assert_eq!(scene.app.model.requests().len(), 1);
    let more = json!({"for": {"member": "ZhangSan"}, "more": {"requests": 5, "days": 7, "reason": "月底"}});
    let granted = owner.post("/grants", more).await;
    assert_eq!((granted.status, &granted.body["for"]), (200, &json!("member/ww1436e0e65a779aee/zhangsan")));
    ask(&scene.app, "zhangsan", "三").await;
    assert_eq!(scene.app.model.requests().len(), 2, "it was felt before it was answered");
    assert_eq!(owner.get("/grants").await.body["items"], json!([granted.body]));
    let path = format!("/grants/{}", granted.body["id"]);
    assert_eq!((owner.delete(&path).await.status, owner.delete(&path).await.status), (204, 404));
    ask(&scene.app, "zhangsan", "四").await;
    assert_eq!(scene.app.model.requests().len(), 2);
    assert_eq!(owner.delete("/grants/x").await.status, 404);
    for (whom, more, pointer) in [
        (json!({"everyone": true}), json!({"requests": 5}), "/for"),
        (json!({}), json!({"requests": 5}), "/for"),
        (json!({"member": ""}), json!({"requests": 5}), "/for/member"),
        (json!({"member": "li"}), json!({}), "/more"),
        (json!({"member": "li"}), json!({"money": "viel"}), "/more/money"),
        (json!({"member": "li"}), json!({"tokens": 5, "days": 0}), "/more/days"),
        (json!({"member": "li"}), json!({"tokens": 5, "reason": "a\nb"}), "/more/reason"),
    ] {
        let refused = owner.post("/grants", json!({"for": whom, "more": more})).await;
        assert_eq!(
            (refused.status, &refused.body["errors"][0]["pointer"]),
            (422, &json!(pointer)),
            "{:#}",
            refused.body
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_plan_is_told_by_its_place() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    for (body, pointer, words) in [
        (json!({"limits": ["requests=5/day", "x"]}), "/limits/1", "MEASURE=AMOUNT/WINDOW"),
        (json!({"limits": ["requests=5/day", "requests=6/day"]}), "/limits/1", "limited already"),
        (json!({"models": ["gpt-9"]}), "/models/0", "there are qimate-demo"),
        (json!({"models": []}), "/models", "leave the list out"),
        (json!({"then": "gpt-9"}), "/then", "there are qimate-demo"),
        (json!({"without": ["words"]}), "/without/0", "pictures, voice"),
    ] {
        let refused = owner.put("/plans/x", body.clone()).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
        assert!(refused.text("detail").contains(words), "{:#}", refused.body);
    }
    assert_eq!(owner.put("/plans/x", json!({"limit": []})).await.status, 400);
    assert_eq!(owner.put("/plans/a%20b", json!({})).await.status, 422);
    assert_eq!(owner.put("/plans/x", json!({})).await.status, 201);
    for (body, pointer) in [
        (json!({}), Value::Null),
        (json!({"everyone": true, "member": "li"}), Value::Null),
        (json!({"member": ""}), json!("/member")),
        (json!({"key": "000000000000"}), json!("/key")),
        (json!({"key": "qm_000000000000_secret"}), json!("/key")),
    ] {
        let refused = owner.post("/plans/x/attach", body.clone()).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (422, &pointer), "{body}");
        assert!(!refused.body.to_string().contains("secret"), "{:#}", refused.body);
    }
    let elsewhere = owner.post("/plans/x/attach?corp=ww2", json!({"member": "li"})).await;
    assert!(elsewhere.text("detail").contains("ww1436e0e65a779aee"), "{:#}", elsewhere.body);
    assert_eq!(owner.post("/plans/nothing/attach", json!({"everyone": true})).await.status, 404);
}
