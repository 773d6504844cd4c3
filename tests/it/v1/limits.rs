//! Limits: of the key, its member and the company; every level must have room, and what is said names the one that has
//! none.

use std::time::Duration;

use qimate::{
    model::quota::{plan::AtLimit, subject::Subject},
    sandbox::model::ModelReply,
    store::plans::Holder,
};
use serde_json::Value;

use super::{Plan, Scene, corp, li, plan, question, refusal};
use crate::harness::within;

#[tokio::test]
async fn each_level_must_have_room_and_the_answer_names_the_one_that_has_none() {
    let scene = Scene::open().await;
    let member = Holder::One(Subject::member(&corp(), &li()));
    let company = Holder::One(Subject::company(&corp()));
    for (used, (holder, level)) in (0..).zip([(scene.key_holder(), "key"), (member, "member"), (company, "company")]) {
        let limit = format!("requests={}/day", used + 1);
        scene.attach(&holder, level, &plan(&[&limit])).await;
        assert_eq!(scene.ask(&question("一")).await.status(), 200, "{level}");
        let response = scene.ask(&question("二")).await;
        let headers = response.headers().clone();
        let (status, error) = refusal(response).await;
        assert_eq!((status, &error["code"], &error["type"]), (429, &"rate_limit_exceeded".into(), &"requests".into()));
        let message = error["message"].as_str().unwrap();
        let expected = format!(
            "the limit of the {level} {limit} is reached: {0} of {0} used; there is room again at 2026-09-22 00:00",
            used + 1
        );
        assert!(message.starts_with(&expected) && message.contains("Asia/Shanghai, in 1h"), "{message}");
        let number = |name: &str| headers[name].to_str().unwrap().parse::<i64>().unwrap();
        assert_eq!((number("x-ratelimit-limit-requests"), number("x-ratelimit-remaining-requests")), (used + 1, 0));
        assert!(headers["x-ratelimit-reset-requests"].to_str().unwrap().starts_with("1h"));
        assert!(number("retry-after") > 3600 && headers["x-should-retry"] == "false");
        let beside = scene.beside();
        assert!(beside.detach_plan(&qimate::model::audit::Actor::Daemon, &holder, scene.now()).await.unwrap());
        scene.felt().await;
    }
    assert_eq!(scene.app.model.requests().len(), 3, "nobody asks the model for who may not");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_at_once_on_a_limit_of_ten_let_exactly_ten_through() {
    let scene = Scene::open().await;
    scene.attach(&scene.key_holder(), "ten", &plan(&["requests=10/hour"])).await;
    let calls = (0..200).map(|number| {
        let mut body = question("喂");
        body["stream"] = (number % 2 == 0).into();
        let request = scene.post(&body).send();
        async move {
            let response = within(request).await.unwrap();
            let status = response.status().as_u16();
            within(response.bytes()).await.unwrap();
            status
        }
    });
    let statuses = futures_util::future::join_all(calls).await;
    let count = |status: u16| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(200), count(429)), (10, 190));
    assert_eq!(scene.app.model.requests().len(), 10);
    scene.app.comes_to("SELECT requests FROM used WHERE subject LIKE 'key/%' AND quarter = -1", 10).await;
}

/// Every measure over every window; a second question would be beyond it.
#[tokio::test]
async fn each_limit_that_can_be_set_is_held() {
    let scene = Scene::open_with(|config| {
        let mut upstream = config.llm.all_upstreams().remove(0);
        // Money for a million tokens, in micro-units: a thousand.
        (upstream.models[0].input_price, upstream.models[0].output_price) = (Some(1_000_000_000), Some(1_000_000_000));
        config.llm.upstreams = vec![upstream];
    })
    .await;
    scene.app.model.set_script(|_| ModelReply::Bytes {
        content_type: "application/json".to_owned(),
        pieces: vec![
            br#"{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1900,"completion_tokens":1}}"#
                .to_vec(),
        ],
        pause: Duration::ZERO,
    });
    let mut asked = 0;
    for amount in ["requests=1", "tokens=2000", "money=2"] {
        for window in ["hour", "day", "week", "month", "10m", "lifetime"] {
            // Nobody has used anything when it begins.
            let mut scoped = super::new_key();
            scoped.name = format!("{amount} {window}");
            let key = scene.make(scoped).await;
            let id = super::KeyText::parse(&key).unwrap().id;
            let limit = format!("{amount}/{window}");
            scene.attach(&Holder::One(Subject::key(&corp(), &id)), &format!("plan{asked}"), &plan(&[&limit])).await;
            let ask = || scene.http.post(scene.app.url("/v1/chat/completions")).bearer_auth(&key).json(&question("x"));
            assert_eq!(within(ask().send()).await.unwrap().status(), 200, "{limit}");
            let (status, error) = refusal(within(ask().send()).await.unwrap()).await;
            let message = error["message"].as_str().unwrap();
            let named = message.starts_with(&format!("the limit of the key {}", plan(&[&limit]).limits[0]));
            assert!(status == 429 && named, "{limit}: {message}");
            asked += 1;
        }
    }
    assert_eq!((scene.app.model.requests().len(), asked), (18, 18));
}

#[tokio::test]
async fn a_call_that_fails_uses_nothing_and_holds_nothing() {
    let scene = Scene::open().await;
    scene.attach(&scene.key_holder(), "one", &Plan { concurrent: Some(1), ..plan(&["requests=1/day"]) }).await;
    for _ in 0..3 {
        scene.app.model.push(ModelReply::status(500, ""));
        assert_eq!(refusal(scene.ask(&question("喂")).await).await.0, 502);
    }
    assert_eq!(scene.ask(&question("喂")).await.status(), 200);
}

#[tokio::test]
async fn an_answer_is_only_as_long_as_what_is_left_pays_for() {
    let scene = Scene::open().await;
    scene.attach(&scene.key_holder(), "small", &plan(&["tokens=2000/day"])).await;
    let asked = |field: &str| scene.app.model.requests().pop().unwrap().body[field].as_u64();
    for (change, field) in
        [("", "max_tokens"), ("max_completion_tokens", "max_completion_tokens"), ("max_tokens", "max_tokens")]
    {
        let mut body = question("喂");
        if !change.is_empty() {
            body[change] = 100_000.into();
        }
        assert_eq!(scene.ask(&body).await.status(), 200);
        assert!((256..2000).contains(&asked(field).unwrap()), "{change}");
    }
    let mut several = question("喂");
    several["n"] = 4.into();
    assert_eq!(scene.ask(&several).await.status(), 200);
    assert!(asked("max_tokens").unwrap() < 500, "all of them together");
    let mut short = question("喂");
    short["max_tokens"] = 5.into();
    assert_eq!(scene.ask(&short).await.status(), 200);
    assert_eq!(asked("max_tokens"), Some(5), "what is asked for is never made longer");
    let (status, error) = refusal(scene.ask(&question(&"x ".repeat(9000))).await).await;
    assert!(status == 429 && error["message"].as_str().unwrap().contains("time brings no room"), "{error}");
}

#[tokio::test]
async fn a_model_that_answers_at_the_limit_is_one_the_key_may_ask() {
    let mut scene = Scene::open_with(|config| {
        let mut upstream = config.llm.all_upstreams().remove(0);
        let mut other = upstream.models[0].clone();
        (other.alias, other.name) = ("cheap".into(), "cheap".to_owned());
        upstream.models.push(other);
        config.llm.upstreams = vec![upstream];
    })
    .await;
    let member = Holder::One(Subject::member(&corp(), &li()));
    let then_cheap = Plan { at_limit: AtLimit::Model("cheap".to_owned()), ..plan(&["requests=1/day"]) };
    scene.attach(&member, "then", &then_cheap).await;
    let model = |scene: &Scene| scene.app.model.requests().pop().unwrap().body["model"].clone();
    assert_eq!(scene.ask(&question("喂")).await.status(), 200);
    assert_eq!((scene.ask(&question("喂")).await.status().as_u16(), model(&scene)), (200, Value::from("cheap")));
    let scope = super::Scope { models: Some(["qimate-demo".to_owned()].into()), ..super::Scope::default() };
    scene.key = scene.make(super::NewKey { scope, ..super::new_key() }).await;
    assert_eq!(refusal(scene.ask(&question("喂")).await).await.0, 429);
    scene.app.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!((scene.ask(&question("喂")).await.status().as_u16(), model(&scene)), (200, Value::from("qimate-demo")));
}
