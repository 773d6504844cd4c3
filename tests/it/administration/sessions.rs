//! From the code to the session, and to its end.

use std::time::Duration;

use qimate::model::operator::{Role, Scope};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{Browser, PASSWORD, Scene, name, problem};
use crate::harness::within;

const MINUTE: Duration = Duration::from_secs(60);

async fn sent(request: reqwest::RequestBuilder) -> Response {
    within(request.send()).await.unwrap()
}

#[tokio::test]
async fn an_operator_sets_a_password_by_a_code_once_and_logs_in() {
    let scene = Scene::open().await;
    let code = scene.invite("Li", Role::Owner).await;
    let detail = async |answer: Response| -> String {
        let body: Value = within(answer.json()).await.unwrap();
        assert_eq!(body["errors"][0]["pointer"], "/password");
        body["detail"].as_str().unwrap().to_owned()
    };
    assert_eq!(problem(sent(scene.login("li", "")).await).await, (401, "login-failed".to_owned()), "no default login");
    assert!(detail(scene.accept(&code, "elf zeichen").await).await.contains("at least 12 characters"));
    assert!(detail(scene.accept(&code, "password1234").await).await.contains("tried first"));
    let slip = format!("{}{}", &code[..code.len() - 1], if code.ends_with('0') { '1' } else { '0' });
    for wrong in [slip.as_str(), "qmi_", "", &code.replacen("qmi_", "qmo_", 1)] {
        assert_eq!(problem(scene.accept(wrong, PASSWORD).await).await, (403, "code-refused".to_owned()), "{wrong}");
    }
    assert_eq!(scene.accept(&code, PASSWORD).await.status(), 200);
    assert_eq!(problem(scene.accept(&code, "another horse battery").await).await.1, "code-refused", "it was used");

    let answer = sent(scene.login("LI", PASSWORD)).await;
    assert_eq!(answer.status(), 201);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let (value, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Strict");
    let secret = value.strip_prefix("__Host-qimate=").unwrap();
    assert_eq!(secret.len(), "qms_000000000000_".len() + 64 + 8, "256 bits");
    let me: Value = within(answer.json()).await.unwrap();
    assert_eq!((&me["name"], &me["role"], &me["by"]["kind"]), (&json!("li"), &json!("owner"), &json!("session")));
    assert_eq!(me["by"]["expires_ms"], (scene.now() + 30 * MINUTE).as_millis());
    let browser = Browser { cookie: value.to_owned(), csrf: me["by"]["csrf_token"].as_str().unwrap().to_owned() };
    let again: Value = within(sent(scene.of_page(Method::GET, "/me", &browser)).await.json()).await.unwrap();
    assert_eq!(again, me);
    for column in ["password", "hash", "id"] {
        let table = if column == "password" { "operator" } else { "operator_session" };
        let kept: Vec<u8> = scene
            .app
            .database()
            .query_row(&format!("SELECT CAST({column} AS BLOB) FROM {table}"), [], |row| row.get(0))
            .unwrap();
        let kept = String::from_utf8_lossy(&kept).into_owned();
        assert!(!kept.contains(PASSWORD) && !kept.contains(&secret[20..60]), "{kept}");
    }

    let out = sent(scene.of_page(Method::DELETE, "/session", &browser)).await;
    assert_eq!(out.status(), 204);
    assert!(out.headers()["set-cookie"].to_str().unwrap().ends_with("Max-Age=0"));
    assert_eq!(scene.me(&browser).await, 401, "at once");
    assert_eq!(scene.app.count("SELECT COUNT(*) FROM operator_session"), 0);
}

#[tokio::test]
async fn a_code_is_good_for_half_an_hour_and_until_the_next() {
    let scene = Scene::open().await;
    let first = scene.invite("li", Role::Owner).await;
    let second = scene.reset("li").await;
    assert_eq!(problem(scene.accept(&first, PASSWORD).await).await.1, "code-refused", "there is another");
    scene.app.clock.advance(30 * MINUTE);
    assert_eq!(problem(scene.accept(&second, PASSWORD).await).await.1, "code-refused", "its time is over");
    let third = scene.reset("li").await;
    let both = tokio::join!(scene.accept(&third, PASSWORD), scene.accept(&third, "other horse battery"));
    let mut statuses = [both.0.status().as_u16(), both.1.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403], "of two at once one is first");
}

#[tokio::test]
async fn a_session_ends_after_half_an_hour_of_rest_and_after_twelve_hours_also_across_a_restart() {
    let mut scene = Scene::open().await;
    scene.operator("li", Role::Owner).await;
    let (rests, works) = (scene.browser("li").await, scene.browser("li").await);
    assert_ne!(rests.cookie, works.cookie, "each login has an id of its own");
    scene.app.clock.advance(29 * MINUTE);
    assert_eq!((scene.me(&rests).await, scene.me(&works).await), (200, 200));
    scene.app.clock.advance(29 * MINUTE);
    assert_eq!(scene.me(&works).await, 200);
    scene.app.stop().await;
    scene.app.launch().await;
    assert_eq!(scene.me(&works).await, 200, "what was used is remembered");
    scene.app.clock.advance(MINUTE);
    assert_eq!((scene.me(&rests).await, scene.me(&works).await), (401, 200), "it rested for half an hour");
    for _ in 0..26 {
        scene.app.clock.advance(25 * MINUTE);
        assert_eq!(scene.me(&works).await, 200);
    }
    scene.app.clock.advance(11 * MINUTE);
    assert_eq!(scene.me(&works).await, 401, "twelve hours are over");
}

#[tokio::test]
async fn whatever_takes_trust_away_ends_sessions() {
    let scene = Scene::open().await;
    scene.operator("li", Role::Owner).await;
    scene.operator("wang", Role::Auditor).await;
    let other = scene.browser("wang").await;

    let (asks, rests) = (scene.browser("li").await, scene.browser("li").await);
    let change = |current: &str, new: &str| {
        let body = json!({"current_password": current, "password": new});
        scene.of_page(Method::POST, "/password", &asks).json(&body)
    };
    assert_eq!(problem(sent(change("not my password", "another horse battery")).await).await.1, "login-failed");
    assert_eq!(problem(sent(change(PASSWORD, "li")).await).await, (422, "invalid".to_owned()));
    assert_eq!(scene.me(&asks).await, 200);
    assert_eq!(sent(change(PASSWORD, "another horse battery")).await.status(), 204);
    assert_eq!((scene.me(&asks).await, scene.me(&rests).await), (401, 401), "a password was changed");
    assert_eq!(sent(scene.login("li", PASSWORD)).await.status(), 401);
    assert_eq!(sent(scene.login("li", "another horse battery")).await.status(), 201);

    let code = scene.reset("li").await;
    assert_eq!(sent(scene.login("li", "another horse battery")).await.status(), 401, "reset");
    assert_eq!(scene.app.count("SELECT COUNT(*) FROM operator_session WHERE operator = 1"), 0);
    assert_eq!(scene.accept(&code, PASSWORD).await.status(), 200);

    let browser = scene.browser("li").await;
    scene.beside().disable_operator(&qimate::model::audit::Actor::Daemon, &name("li"), scene.now()).await.unwrap();
    scene.app.felt().await;
    assert_eq!(scene.me(&browser).await, 401, "disabled");
    assert_eq!(sent(scene.login("li", PASSWORD)).await.status(), 401);
    scene.beside().enable_operator(&qimate::model::audit::Actor::Daemon, &name("li"), scene.now()).await.unwrap();
    scene.app.felt().await;
    assert_eq!(scene.me(&browser).await, 401, "and no session comes back");
    assert_eq!(sent(scene.login("li", PASSWORD)).await.status(), 201);
    assert_eq!(scene.me(&other).await, 200, "nobody else is concerned");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_operator_alone() {
    let scene = Scene::open().await;
    scene.operator("li", Role::Auditor).await;
    scene.operator("wang", Role::Owner).await;
    let stranger = scene.browser("wang").await;
    let first = scene.browser("li").await;
    scene.app.clock.advance(MINUTE);
    let second = scene.browser("li").await;
    let list: Value = within(sent(scene.of_page(Method::GET, "/sessions", &second)).await.json()).await.unwrap();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!((&items[0]["current"], &items[1]["current"]), (&json!(false), &json!(true)));
    assert_eq!(items[0]["address"], "127.0.0.1");
    assert!(!list.to_string().contains(&first.cookie[40..60]), "{list}");
    let path = format!("/sessions/{}", items[0]["id"].as_str().unwrap());
    assert_eq!(
        problem(sent(scene.of_page(Method::DELETE, &path, &stranger)).await).await,
        (404, "not-found".to_owned())
    );
    assert_eq!(scene.me(&first).await, 200);
    assert_eq!(sent(scene.of_page(Method::DELETE, &path, &second)).await.status(), 204);
    assert_eq!((scene.me(&first).await, scene.me(&second).await), (401, 200), "at once");
    assert_eq!(problem(sent(scene.of_page(Method::DELETE, &path, &second)).await).await.0, 404);
    for _ in 0..20 {
        scene.browser("li").await;
    }
    assert_eq!(scene.app.count("SELECT COUNT(*) FROM operator_session WHERE operator = 1"), 20, "and no more");
    assert_eq!(scene.me(&second).await, 401, "the oldest went");
}

#[tokio::test]
async fn no_other_page_makes_a_browser_change_anything() {
    let scene =
        Scene::open_with(|config| config.server.public_url = Some("https://qimate.example.com".to_owned())).await;
    scene.operator("li", Role::Owner).await;
    let browser = scene.browser("li").await;
    let own = format!("http://{}", scene.app.address());
    let port = scene.app.address().port();
    let delete = |origin: Option<&str>, csrf: Option<&str>| {
        let mut request = scene.request(Method::DELETE, "/sessions/000000000000").header("cookie", &browser.cookie);
        for (name, value) in [("origin", origin), ("x-csrf-token", csrf)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request
    };
    let csrf = Some(browser.csrf.as_str());
    for origin in [
        None,
        Some("null"),
        Some("https://evil.example"),
        Some("https://qimate.example.com.evil.example"),
        Some("http://qimate.example.com"),
        Some("http://127.0.0.1"),
        Some(&*format!("http://localhost:{port}")),
    ] {
        let answer = sent(delete(origin, csrf)).await;
        assert_eq!(problem(answer).await, (403, "other-origin".to_owned()), "{origin:?}");
    }
    let other = scene.browser("li").await;
    for wrong in [None, Some(""), Some("x"), Some(other.csrf.as_str()), Some(&browser.csrf[1..])] {
        let answer = sent(delete(Some(&own), wrong)).await;
        assert_eq!(problem(answer).await, (403, "csrf".to_owned()), "{wrong:?}");
    }
    for origin in [own.as_str(), "https://qimate.example.com"] {
        assert_eq!(problem(sent(delete(Some(origin), csrf)).await).await.0, 404, "let in");
    }
    let evil = scene.login("li", PASSWORD).header("origin", "https://evil.example");
    assert_eq!(problem(sent(evil).await).await.1, "other-origin", "nor logs it in as somebody");
    let twice = scene.request(Method::GET, "/me").header("cookie", format!("{}; {}", browser.cookie, other.cookie));
    assert_eq!(problem(sent(twice).await).await.0, 401, "of two sessions it is not known whose each is");
    let among = scene.request(Method::GET, "/me").header("cookie", format!("a=b; {}; c=d", browser.cookie));
    assert_eq!(sent(among).await.status(), 200);
    let before = scene.app.count("SELECT COUNT(*) FROM operator_session");
    for path in ["/session", "/sessions", "/me", "/invitation", "/password"] {
        sent(scene.of_page(Method::GET, path, &browser)).await;
    }
    assert_eq!(scene.app.count("SELECT COUNT(*) FROM operator_session"), before, "GET changes nothing");
    let token = scene.token("li", &[Scope::Operators], None).await;
    let program = scene.request(Method::DELETE, "/sessions/000000000000").bearer_auth(token.expose());
    assert_eq!(problem(sent(program).await).await.0, 404, "a program needs neither");
}

#[tokio::test]
async fn what_is_long_over_is_forgotten() {
    let scene = Scene::open().await;
    scene.operator("li", Role::Owner).await;
    let browser = scene.browser("li").await;
    let _old = scene.token("li", &[Scope::Read], None).await;
    let young = scene.token("li", &[Scope::Read], None).await;
    let revoke = "UPDATE operator_token SET revoked_at = ?1 WHERE number = 1";
    scene.app.database().execute(revoke, [scene.now().as_millis()]).unwrap();
    let month = 30 * 24 * 60 * MINUTE;
    let prune = async |now| scene.beside().prune(now, month).await.unwrap();
    let counts = || {
        ["operator", "operator_token", "operator_session", "operator_place"]
            .map(|table| scene.app.count(&format!("SELECT COUNT(*) FROM {table}")))
    };
    prune(scene.now() + month - MINUTE).await;
    assert_eq!(counts(), [1, 2, 1, 1]);
    prune(scene.now() + month + MINUTE).await;
    assert_eq!(counts(), [1, 1, 0, 0]);
    scene.app.felt().await;
    assert_eq!(scene.me(&browser).await, 401);
    let still = scene.request(Method::GET, "/me").bearer_auth(young.expose());
    assert_eq!(sent(still).await.status(), 200);
}
