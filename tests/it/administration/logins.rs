//! How often a password may be tried, and by whom.

use std::time::Duration;

use qimate::model::operator::Role;
use reqwest::Response;
use serde_json::Value;

use super::{PASSWORD, Scene, name};
use crate::harness::{Logs, within};

#[tokio::test]
async fn nobody_learns_from_an_answer_who_there_is() {
    let logs = Logs::capture();
    let scene = Scene::behind_a_proxy().await;
    scene.operator("li", Role::Owner).await;
    scene.operator("gone", Role::Owner).await;
    scene.beside().disable_operator(&qimate::model::audit::Actor::Daemon, &name("gone"), scene.now()).await.unwrap();
    scene.invite("new", Role::Owner).await;
    let mut answers = Vec::new();
    for (n, (name, password)) in [
        ("li", "wrong"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("new", ""),
        ("张三", "x"),
        ("my secret word 9", "x"),
    ]
    .into_iter()
    .enumerate()
    {
        let request = scene.login(name, password).header("x-forwarded-for", format!("192.0.2.{n}"));
        let answer: Response = within(request.send()).await.unwrap();
        let names: Vec<String> = answer.headers().keys().map(|name| name.as_str().to_owned()).collect();
        answers.push((answer.status().as_u16(), names, within(answer.json::<Value>()).await.unwrap()));
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert!(!logs.with(&["refused a login", "operator=\"li\""]).is_empty());
    assert!(logs.with(&["my secret word 9"]).is_empty(), "what nobody is called may be a password");
}

#[tokio::test]
async fn an_address_that_fails_is_slowed_down_and_told_for_how_long() {
    let scene = Scene::behind_a_proxy().await;
    scene.operator("li", Role::Owner).await;
    for n in 0..5 {
        assert_eq!(scene.login_from("198.51.100.7", &format!("name{n}"), "wrong").await, (401, None));
    }
    assert_eq!(scene.login_from("198.51.100.7", "li", PASSWORD).await, (429, Some(1)), "whatever it tries");
    assert_eq!(scene.login_from("198.51.100.8", "li", PASSWORD).await.0, 201, "others are not concerned");
    scene.app.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.login_from("198.51.100.7", "li", "wrong").await.0, 401);
    assert_eq!(scene.login_from("198.51.100.7", "li", "wrong").await, (429, Some(2)), "twice as long");
    scene.app.clock.advance(Duration::from_secs(2));
    assert_eq!(scene.login_from("198.51.100.7", "li", PASSWORD).await.0, 201, "and never shut out");
}

#[tokio::test]
async fn whoever_hammers_a_name_does_not_keep_its_owner_out() {
    let scene = Scene::behind_a_proxy().await;
    scene.operator("li", Role::Owner).await;
    assert_eq!(scene.login_from("203.0.113.1", "li", PASSWORD).await.0, 201);
    for n in 0..16 {
        scene.login_from(&format!("198.51.100.{n}"), "li", "wrong").await;
    }
    assert_eq!(scene.login_from("198.51.100.99", "li", "wrong").await.0, 429, "it is hammered");
    assert_eq!(scene.login_from("203.0.113.1", "li", PASSWORD).await.0, 201, "from where they were before, at once");
    let (status, wait) = scene.login_from("203.0.113.2", "li", PASSWORD).await;
    let wait = wait.unwrap();
    assert!(status == 429 && wait <= 30, "{status} {wait}");
    scene.app.clock.advance(Duration::from_secs(wait));
    for n in 0..16 {
        scene.login_from(&format!("198.51.100.{n}"), "li", "wrong").await;
    }
    assert_eq!(scene.login_from("203.0.113.2", "li", PASSWORD).await.0, 201, "and elsewhere after a short while");
    let mut scene = scene;
    scene.app.stop().await;
    scene.app.launch().await;
    for n in 0..16 {
        scene.login_from(&format!("198.51.100.{n}"), "li", "wrong").await;
    }
    assert_eq!(scene.login_from("203.0.113.2", "li", PASSWORD).await.0, 201, "where they were is remembered");
}
