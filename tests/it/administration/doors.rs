//! What is there, for whom, and what is said where it is not.

use std::time::Duration;

use qimate::{
    model::{
        key::{ID_BYTES, KeyId, KeyText, SECRET_BYTES},
        operator::{Role, Scope, TokenText},
    },
    store::operators::Changed,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{PASSWORD, Scene, name, problem};
use crate::harness::{Logs, within};

#[tokio::test]
async fn where_nobody_administers_nothing_is_there() {
    let scene = Scene::open().await;
    let is_not_there = async || {
        for (method, path) in [
            (Method::GET, "/me"),
            (Method::POST, "/session"),
            (Method::POST, "/invitation"),
            (Method::GET, ""),
            (Method::GET, "/nothing"),
        ] {
            let answer = within(scene.request(method, path).json(&json!({})).send()).await.unwrap();
            let nothing = within(reqwest::get(scene.app.url("/nothing/at/all"))).await.unwrap();
            assert_eq!(answer.status(), 404);
            let names = |answer: &reqwest::Response| -> Vec<String> {
                answer.headers().keys().map(|name| name.as_str().to_owned()).collect()
            };
            assert_eq!(names(&answer), names(&nothing), "as any address that is not there");
            assert_eq!(within(answer.text()).await.unwrap(), "");
        }
    };
    is_not_there().await;
    scene.invite("li", Role::Owner).await;
    let answer = within(scene.request(Method::GET, "/me").send()).await.unwrap();
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    assert_eq!(problem(answer).await, (401, "unauthenticated".to_owned()));
    assert_eq!(
        scene.beside().disable_operator(&qimate::model::audit::Actor::Daemon, &name("li"), scene.now()).await.unwrap(),
        Changed::Yes
    );
    scene.app.felt().await;
    is_not_there().await;
}

#[tokio::test]
async fn a_token_opens_what_it_is_for_until_its_end() {
    let scene = Scene::open().await;
    scene.operator("li", Role::Auditor).await;
    let expires_at = scene.now() + Duration::from_secs(1000);
    let token = scene.token("li", &[Scope::Read], Some(expires_at)).await;
    let get = async |path: &str, token: &str| {
        within(scene.request(Method::GET, path).bearer_auth(token).send()).await.unwrap()
    };
    let me: Value = within(get("/me", token.expose()).await.json()).await.unwrap();
    assert_eq!(
        me,
        json!({
            "name": "li", "role": "auditor", "scopes": ["read"],
            "by": {
                "kind": "token", "id": TokenText::parse(token.expose()).unwrap().id.as_str(),
                "expires_ms": expires_at.as_millis(),
            },
        })
    );
    let all: Value = within(get("/operators", token.expose()).await.json()).await.unwrap();
    assert_eq!((&all["items"][0]["name"], &all["items"][0]["state"]), (&json!("li"), &json!("active")));
    assert!(!all.to_string().contains("argon2"), "no hash either: {all}");
    scene.app.clock.advance(Duration::from_secs(1000));
    assert_eq!(problem(get("/me", token.expose()).await).await, (401, "expired".to_owned()));

    scene.operator("wang", Role::Owner).await;
    let narrow = scene.token("wang", &[Scope::Keys], None).await;
    assert_eq!(get("/me", narrow.expose()).await.status(), 200);
    assert_eq!(problem(get("/operators", narrow.expose()).await).await, (403, "missing-scope".to_owned()));
    assert_eq!(problem(get("/sessions", narrow.expose()).await).await, (403, "missing-scope".to_owned()));
    let id = TokenText::parse(narrow.expose()).unwrap().id;
    assert_eq!(
        scene.beside().revoke_token(&qimate::model::audit::Actor::Daemon, &id, scene.now()).await.unwrap(),
        Changed::Yes
    );
    scene.app.felt().await;
    assert_eq!(problem(get("/me", narrow.expose()).await).await, (401, "unauthenticated".to_owned()));

    let last = scene.token("wang", &[Scope::Read], None).await;
    assert_eq!(get("/me", last.expose()).await.status(), 200);
    scene.app.advance_to_sleeper(50.0..=60.0).await;
    let used = "SELECT COUNT(*) FROM operator_token WHERE last_used_at IS NOT NULL";
    within(async {
        while scene.app.count(used) < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(
        scene
            .beside()
            .disable_operator(&qimate::model::audit::Actor::Daemon, &name("wang"), scene.now())
            .await
            .unwrap(),
        Changed::Yes
    );
    scene.beside().enable_operator(&qimate::model::audit::Actor::Daemon, &name("wang"), scene.now()).await.unwrap();
    scene.app.felt().await;
    assert_eq!(get("/me", last.expose()).await.status(), 401, "what was revoked does not come back");
}

#[tokio::test]
async fn only_our_tokens_open_anything_and_none_is_written_down() {
    let logs = Logs::capture();
    let scene = Scene::open_with(|config| config.v1.enabled = true).await;
    scene.operator("li", Role::Owner).await;
    let good = scene.token("li", &[Scope::Read], None).await.expose().clone();
    let id = TokenText::parse(&good).unwrap().id;
    let stranger = TokenText::of(KeyId::of([9; ID_BYTES]), [1; SECRET_BYTES]).text().expose().clone();
    let guessed = TokenText::of(id.clone(), [1; SECRET_BYTES]).text().expose().clone();
    let key = KeyText::of(id, [1; SECRET_BYTES]).text().expose().clone();
    for token in [&stranger, &guessed, &key, "qmo_", "", &good.replacen("qmo_", "qm_", 1)] {
        let answer = within(scene.request(Method::GET, "/me").bearer_auth(token).send()).await.unwrap();
        assert_eq!(problem(answer).await, (401, "unauthenticated".to_owned()), "{token}");
    }
    let basic = scene.request(Method::GET, "/me").basic_auth("li", Some(PASSWORD));
    let twice =
        scene.request(Method::GET, "/me").bearer_auth(&good).header("authorization", format!("Bearer {stranger}"));
    for request in [basic, twice] {
        assert_eq!(problem(within(request.send()).await.unwrap()).await.0, 401);
    }
    for query in [format!("?token={good}"), format!("?a={good}"), format!("?password={PASSWORD}")] {
        let request = scene.request(Method::GET, &format!("/me{query}")).bearer_auth(&good);
        assert_eq!(problem(within(request.send()).await.unwrap()).await, (401, "secret-in-address".to_owned()));
    }
    let v1 = scene.http.get(scene.app.url("/v1/models")).bearer_auth(&good);
    assert_eq!(within(v1.send()).await.unwrap().status(), 401, "a token of an operator asks no model");
    let good_one = scene.request(Method::GET, "/me").bearer_auth(&good);
    assert_eq!(within(good_one.send()).await.unwrap().status(), 200);
    let browser = scene.browser("li").await;
    assert_eq!(scene.me(&browser).await, 200);
    assert_eq!(within(scene.login("li", "wrong horse battery").send()).await.unwrap().status(), 401);
    for secret in [&good[17..80], &stranger[17..80], &browser.cookie[30..90], &browser.csrf, PASSWORD, "wrong horse"] {
        assert!(logs.with(&[secret]).is_empty(), "a secret is in the log");
    }
    assert!(!logs.with(&["refused an operator's request", "unauthenticated"]).is_empty());
    assert!(!logs.with(&["an operator logged in", "li"]).is_empty());
}

#[tokio::test]
async fn every_error_is_a_problem_that_says_what_would_be_right() {
    let scene = Scene::open().await;
    scene.operator("li", Role::Owner).await;
    let token = scene.token("li", &Scope::ALL, None).await.expose().clone();
    let as_li = |method: Method, path: &str| scene.request(method, path).bearer_auth(&token);
    for path in ["", "/", "/nothing", "/members/x/y"] {
        let answer = within(as_li(Method::GET, path).send()).await.unwrap();
        assert_eq!(problem(answer).await, (404, "not-found".to_owned()), "{path}");
    }
    for (method, path) in [(Method::DELETE, "/me"), (Method::GET, "/invitation"), (Method::OPTIONS, "/me")] {
        let answer = within(as_li(method, path).send()).await.unwrap();
        assert_eq!(problem(answer).await, (405, "method-not-allowed".to_owned()), "{path}");
    }
    let post = |body: &str, kind: &str| {
        scene.request(Method::POST, "/session").header("content-type", kind).body(body.to_owned())
    };
    let long = format!(r#"{{"name": "{}"}}"#, "x".repeat(5000));
    for (request, expected) in [
        (post(r#"{"name": "li", "password": "x"}"#, "text/plain"), (415, "not-json")),
        (post("name=li&password=x", "application/x-www-form-urlencoded"), (415, "not-json")),
        (post("{", "application/json"), (400, "bad-request")),
        (post(r#"{"name": "li"}"#, "application/json"), (400, "bad-request")),
        (post(r#"{"name": "li", "password": "x", "remember": true}"#, "application/json"), (400, "bad-request")),
        (post(&long, "application/json"), (413, "too-large")),
    ] {
        let (status, kind) = problem(within(request.send()).await.unwrap()).await;
        assert_eq!((status, kind.as_str()), expected);
    }
    // A value in the wrong place is not repeated: it may be a password.
    let wrong = post(r#""hunter2 hunter2""#, "application/json");
    let told = within(within(wrong.send()).await.unwrap().text()).await.unwrap();
    assert!(told.contains("line 1, column") && !told.contains("hunter2"), "{told}");
    let wrong = post(r#"{"name": "li", "password": 5, "hunter2 hunter2": 1}"#, "application/json; charset=utf-8");
    assert_eq!(problem(within(wrong.send()).await.unwrap()).await, (400, "bad-request".to_owned()));
}
