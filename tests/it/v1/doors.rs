//! Who gets in: only our keys, in one header, while they are good, for what they are for.

use std::{sync::Arc, time::Duration};

use qimate::{
    model::{
        key::{Endpoint, ID_BYTES, KeyId, KeyText, SECRET_BYTES, Scope},
        network::Network,
    },
    sandbox::model::{Gate, ModelReply},
};
use serde_json::Value;

use super::{Scene, li, new_key, question, refusal};
use crate::harness::{App, Logs, within};

#[tokio::test]
async fn an_unknown_key_is_refused_and_never_forwarded_or_written_down() {
    let logs = Logs::capture();
    let scene = Scene::open().await;
    let stranger = KeyText::of(KeyId::of([9; ID_BYTES]), [1; SECRET_BYTES]).text().expose().clone();
    let guessed = KeyText::of(scene.id(), [1; SECRET_BYTES]).text().expose().clone();
    let (start, last) = scene.key.split_at(scene.key.len() - 1);
    let slip = format!("{start}{}", if last == "0" { '1' } else { '0' });
    let url = scene.app.url("/v1/chat/completions");
    for key in ["sk-abcdefgh", &stranger, &guessed, &slip, "qm_"] {
        let request = scene.http.post(&url).bearer_auth(key).json(&question("喂"));
        let (status, error) = refusal(within(request.send()).await.unwrap()).await;
        assert_eq!((status, &error["code"]), (401, &"invalid_api_key".into()), "{key}");
        assert!(!error["message"].as_str().unwrap().contains(key.trim_end_matches(['0', '1'])), "{error}");
    }
    let bare = scene.http.post(&url).json(&question("喂"));
    let basic = scene.http.post(&url).basic_auth("a", Some(&scene.key)).json(&question("喂"));
    let twice = scene.post(&question("喂")).header("authorization", format!("Bearer {stranger}"));
    for request in [bare, basic, twice] {
        let response = within(request.send()).await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(refusal(response).await.0, 401);
    }
    for query in [format!("?key={}", scene.key), "?api_key=x".to_owned(), format!("?x={}", scene.key)] {
        let (status, error) = refusal(within(scene.get(&format!("/v1/models{query}")).send()).await.unwrap()).await;
        assert_eq!((status, &error["code"]), (401, &"key_in_url".into()));
        assert!(error["message"].as_str().unwrap().contains("header"), "{error}");
    }
    assert_eq!(scene.ask(&question("喂")).await.status(), 200);
    assert_eq!(scene.app.model.requests().len(), 1, "only the good one got through");
    assert_eq!(scene.app.model.requests()[0].authorization, None, "and its key did not");
    for key in [&scene.key, &stranger, &guessed] {
        assert!(logs.with(&[&key[16..60]]).is_empty(), "a secret is in the log");
    }
    assert!(!logs.with(&["refused a program", "invalid_api_key"]).is_empty());
}

#[tokio::test]
async fn a_large_request_without_a_key_hears_why() {
    let scene = Scene::open().await;
    let body = question(&"x".repeat(700_000));
    let request = scene.http.post(scene.app.url("/v1/chat/completions")).bearer_auth("qm_wrong").json(&body);
    assert_eq!(refusal(within(request.send()).await.unwrap()).await.0, 401);
}

#[tokio::test]
async fn a_key_is_good_until_its_end_from_its_networks_and_while_its_owner_may() {
    let scene = Scene::open().await;
    let expires_at = Some(scene.now() + Duration::from_secs(100));
    let short = scene.make(super::NewKey { expires_at, ..new_key() }).await;
    let elsewhere = Scope { networks: vec![Network::parse("10.0.0.0/8").unwrap()], ..Scope::default() };
    let elsewhere = scene.make(super::NewKey { scope: elsewhere, ..new_key() }).await;
    let models = |key: &str| scene.http.get(scene.app.url("/v1/models")).bearer_auth(key);
    assert_eq!(within(models(&short).send()).await.unwrap().status(), 200);
    // Nobody is believed to be a proxy.
    for forwarded in ["10.0.0.1", "127.0.0.1"] {
        let request = models(&elsewhere).header("x-forwarded-for", forwarded);
        let (status, error) = refusal(within(request.send()).await.unwrap()).await;
        assert_eq!((status, &error["code"]), (403, &"ip_not_allowed".into()));
    }
    scene.app.clock.advance(Duration::from_secs(100));
    let (status, error) = refusal(within(models(&short).send()).await.unwrap()).await;
    assert!(status == 401 && error["message"].as_str().unwrap().contains("expired"), "{error}");
    let block = "INSERT INTO blocked_member (corp, member, userid, reason, at) VALUES ('ww1436e0e65a779aee', 'li', 'Li', '', 0)";
    scene.app.database().execute(block, []).unwrap();
    scene.felt().await;
    let (status, error) = refusal(scene.ask(&question("喂")).await).await;
    assert_eq!((status, &error["code"]), (403, &"owner_not_allowed".into()), "a blocked member has no keys");
    scene.app.database().execute("DELETE FROM blocked_member", []).unwrap();
    scene.felt().await;
    assert_eq!(scene.ask(&question("喂")).await.status(), 200);
    let over = format!(
        "INSERT INTO member (corp, member, userid, expires_at, changed_at) VALUES ('ww1436e0e65a779aee', '{}', 'Li', {}, 0)",
        li().key(),
        scene.now().as_millis()
    );
    scene.app.database().execute(&over, []).unwrap();
    scene.felt().await;
    assert_eq!(refusal(scene.ask(&question("喂")).await).await.0, 403, "nor has one whose time is over");
}

#[tokio::test]
async fn a_proxy_of_ours_is_believed() {
    let scene = Scene::open_with(|config| config.v1.trusted_proxies = vec![Network::parse("127.0.0.1").unwrap()]).await;
    let scope = Scope { networks: vec![Network::parse("203.0.113.0/24").unwrap()], ..Scope::default() };
    let key = scene.make(super::NewKey { scope, ..new_key() }).await;
    for (forwarded, status) in
        [("203.0.113.9", 200), ("203.0.113.9, 198.51.100.1", 403), ("198.51.100.1, 203.0.113.9", 200)]
    {
        let request =
            scene.http.get(scene.app.url("/v1/models")).bearer_auth(&key).header("x-forwarded-for", forwarded);
        assert_eq!(within(request.send()).await.unwrap().status(), status, "{forwarded}");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_within_a_second_also_in_the_middle_of_an_answer() {
    let scene = Scene::open().await;
    let gate = Gate::new();
    let held = gate.clone();
    scene.app.model.set_script(move |_| ModelReply::Held {
        before: "前半".to_owned(),
        gate: held.clone(),
        after: "后半".to_owned(),
    });
    let mut body = question("喂");
    body["stream"] = true.into();
    let mut stream = scene.ask(&body).await;
    assert!(within(stream.chunk()).await.unwrap().is_some());
    let rotated = scene
        .beside()
        .rotate_key(&qimate::model::audit::Actor::Daemon, &scene.id(), Duration::from_secs(10), scene.now())
        .await
        .unwrap();
    let qimate::store::keys::Rotated::Yes(_, second) = rotated else { panic!("not rotated") };
    scene.felt().await;
    let models = |key: &str| scene.http.get(scene.app.url("/v1/models")).bearer_auth(key);
    for key in [&scene.key, second.expose()] {
        assert_eq!(within(models(key).send()).await.unwrap().status(), 200, "both are good for a while");
    }
    scene.app.clock.advance(Duration::from_secs(10));
    assert_eq!(within(models(&scene.key).send()).await.unwrap().status(), 401, "and then the new one alone");
    assert_eq!(within(models(second.expose()).send()).await.unwrap().status(), 200);

    // One that is under way by the secret of now.
    let request = scene.http.post(scene.app.url("/v1/chat/completions")).bearer_auth(second.expose()).json(&body);
    let mut by_the_new = within(request.send()).await.unwrap();
    assert!(within(by_the_new.chunk()).await.unwrap().is_some());
    scene.beside().revoke_key(&qimate::model::audit::Actor::Daemon, &scene.id(), scene.now()).await.unwrap();
    scene.felt().await;
    assert_eq!(within(models(second.expose()).send()).await.unwrap().status(), 401);
    for mut stream in [stream, by_the_new] {
        let mut rest = Vec::new();
        while let Some(bytes) = within(stream.chunk()).await.unwrap() {
            rest.extend_from_slice(&bytes);
        }
        let rest = String::from_utf8(rest).unwrap();
        assert!(rest.contains(r#""code":"ended""#) && !rest.contains("后半"), "{rest}");
    }
    gate.open();
}

#[tokio::test]
async fn a_key_has_the_models_and_addresses_it_is_for() {
    let scene = Scene::open_with(|config| {
        let mut upstream = config.llm.all_upstreams().remove(0);
        let mut other = upstream.models[0].clone();
        (other.alias, other.name) = (Arc::from("team/cheap"), "cheap".to_owned());
        upstream.models.push(other);
        config.llm.upstreams = vec![upstream];
    })
    .await;
    let list = |answer: Value| -> Vec<String> {
        answer["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    let all: Value = within(scene.get("/v1/models").send()).await.unwrap().json().await.unwrap();
    assert_eq!(list(all), ["qimate-demo", "team/cheap"]);
    let scope = Scope {
        models: Some(["team/cheap".to_owned()].into()),
        endpoints: Some([Endpoint::Models, Endpoint::Embeddings].into()),
        ..Scope::default()
    };
    let key = scene.make(super::NewKey { scope, ..new_key() }).await;
    let get = |path: &str| scene.http.get(scene.app.url(path)).bearer_auth(&key);
    let some: Value = within(get("/v1/models").send()).await.unwrap().json().await.unwrap();
    assert_eq!(list(some), ["team/cheap"]);
    let one: Value = within(get("/v1/models/team/cheap").send()).await.unwrap().json().await.unwrap();
    assert_eq!(one["id"], "team/cheap");
    for path in ["/v1/models/qimate-demo", "/v1/models/gpt-9"] {
        let (status, error) = refusal(within(get(path).send()).await.unwrap()).await;
        assert_eq!((status, &error["code"]), (404, &"model_not_found".into()));
    }
    let request = scene.http.post(scene.app.url("/v1/chat/completions")).bearer_auth(&key).json(&question("喂"));
    let (status, error) = refusal(within(request.send()).await.unwrap()).await;
    assert_eq!((status, &error["code"]), (403, &"missing_scope".into()));
    let mut cheap = question("喂");
    cheap["model"] = "team/cheap".into();
    assert_eq!(scene.ask(&cheap).await.status(), 200);
    assert_eq!(scene.app.model.requests()[0].body["model"], "cheap", "the upstream's own name");
    let only_cheap = super::Plan { models: Some(["team/cheap".to_owned()].into()), ..super::Plan::default() };
    scene.attach(&scene.key_holder(), "cheap", &only_cheap).await;
    let (status, error) = refusal(scene.ask(&question("喂")).await).await;
    assert_eq!((status, &error["code"]), (404, &"model_not_found".into()), "what the plan lacks is not there either");
    assert_eq!(scene.me().await["models"], serde_json::json!(["team/cheap"]));
}

#[tokio::test]
async fn what_is_not_there_says_so_and_no_page_is_let_in() {
    let scene = Scene::open().await;
    for path in ["/v1", "/v1/", "/v1/completions", "/v1/chat"] {
        let (status, error) = refusal(within(scene.get(path).send()).await.unwrap()).await;
        assert_eq!((status, &error["code"]), (404, &"unknown_url".into()), "{path}");
    }
    let (status, error) = refusal(within(scene.get("/v1/chat/completions").send()).await.unwrap()).await;
    assert_eq!((status, &error["code"]), (405, &"method_not_allowed".into()));
    let preflight = scene
        .http
        .request(reqwest::Method::OPTIONS, scene.app.url("/v1/chat/completions"))
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    let with_origin = scene.post(&question("喂")).header("origin", "https://evil.example");
    for (request, success) in [(preflight, false), (with_origin, true)] {
        let answer = within(request.send()).await.unwrap();
        assert_eq!(answer.status().is_success(), success);
        assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
        assert!(answer.headers()["x-request-id"].to_str().unwrap().starts_with("req_"));
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn where_it_is_switched_off_nothing_is_there() {
    let app = App::start().await;
    for path in ["/v1/models", "/v1/chat/completions", "/v1/me"] {
        let answer = within(reqwest::get(app.url(path))).await.unwrap();
        assert_eq!((answer.status().as_u16(), within(answer.text()).await.unwrap()), (404, String::new()));
    }
}
