//! The second factor of operators: from the code that sets it up to each login, and everything that takes it away.

mod at_rest;

use std::time::Duration;

use qimate::{
    model::{
        audit::Actor,
        operator::{Role, Scope},
        second_factor::{SecondFactor, Seed},
    },
    secret::Secret,
    vault::{MasterKey, MasterKeys},
};
use reqwest::{Method, Response, header::HeaderMap};
use serde_json::{Value, json};

use super::{
    PASSWORD, Scene,
    asked::{Program, answer},
    name, problem,
};
use crate::{
    disk::{holding, holds_nowhere},
    harness::{Logs, within},
};

const STEP: Duration = Duration::from_secs(30);

async fn status(request: reqwest::RequestBuilder) -> u16 {
    within(request.send()).await.unwrap().status().as_u16()
}

fn seeds(scene: &Scene) -> i64 {
    scene.app.count("SELECT COUNT(*) FROM secret WHERE name LIKE 'operator/%'")
}

fn keys(config: &qimate::config::Config) -> MasterKeys {
    config.secrets.keys.clone().unwrap()
}

/// What an answer shows of it.
async fn shown(answer: Response) -> (String, String) {
    assert_eq!((answer.status().as_u16(), &answer.headers()["cache-control"]), (200, &"no-store".parse().unwrap()));
    let body: Value = within(answer.json()).await.unwrap();
    let text = |field: &str| body["second_factor"][field].as_str().unwrap().to_owned();
    (text("secret"), text("uri"))
}

#[tokio::test]
async fn it_is_set_up_with_the_password_shown_once_and_asked_for_at_each_login() {
    let logs = Logs::capture();
    let mut scene = Scene::open().await;
    let owner = Program::of(&scene, "wang", Role::Owner).await;
    let invited = owner.post("/operators", json!({"name": "li@example.com", "role": "auditor"})).await;
    assert_eq!(invited.body["second_factor"], false);
    let code = invited.text("code");
    let (secret, uri) = shown(scene.accept(&code, PASSWORD).await).await;
    assert!(secret.len() == 32 && secret.bytes().all(|letter| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".contains(&letter)));
    let wanted = format!("secret={secret}&issuer=Qimate&algorithm=SHA1&digits=6&period=30");
    assert_eq!(uri, format!("otpauth://totp/Qimate:li%40example.com?{wanted}"));
    // Nobody gets it again: not by the same request, nor with a key that says that it is the same.
    let again = scene.request(Method::POST, "/invitation").json(&json!({"code": code, "password": PASSWORD}));
    for again in [again.try_clone().unwrap(), again.header("idempotency-key", "k1")] {
        assert_eq!(problem(within(again.send()).await.unwrap()).await.1, "code-refused");
    }
    let one = owner.get("/operators/li@example.com").await;
    assert_eq!((&one.body["second_factor"], &one.body["state"]), (&json!(true), &json!("active")));
    let entry: String = scene
        .app
        .database()
        .query_row("SELECT changes FROM audit WHERE object = 'operator/li@example.com' ORDER BY seq DESC", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(entry, r#"{"second_factor":[false,true]}"#);

    let li = "li@example.com";
    let browser = scene.browser(li).await;
    assert_eq!(scene.me(&browser).await, 200);
    // Another password changes nothing of it, nor does being shut out for a while.
    let change = json!({"current_password": PASSWORD, "password": "another horse battery"});
    assert_eq!(status(scene.of_page(Method::POST, "/password", &browser).json(&change)).await, 204);
    assert_eq!(status(scene.login_with(li, "another horse battery", None)).await, 401);
    assert_eq!(status(scene.login(li, "another horse battery")).await, 201);
    for change in ["disable", "enable"] {
        assert_eq!(owner.post(&format!("/operators/{li}/{change}"), Value::Null).await.status, 200);
    }
    assert_eq!(status(scene.login(li, "another horse battery")).await, 201);
    // Apps show it in two parts.
    scene.app.clock.advance(STEP);
    let code = scene.code_at(li, 0);
    let parts = format!("{} {}", &code[..3], &code[3..]);
    assert_eq!(status(scene.login_with(li, "another horse battery", Some(&parts))).await, 201);

    // It is in no log, and in no file, in whatever form.
    assert!(logs.with(&[&secret]).is_empty() && logs.with(&["otpauth"]).is_empty());
    assert!(!logs.with(&["an operator set a password by a code", "second_factor=true"]).is_empty());
    scene.app.stop().await;
    let bytes: Vec<u8> = {
        let bits: String =
            secret.bytes().map(|c| format!("{:05b}", if c < b'A' { c - b'2' + 26 } else { c - b'A' })).collect();
        bits.as_bytes()
            .chunks(8)
            .map(|bits| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap())
            .collect()
    };
    assert_eq!(Seed::parse(&Secret::new(secret.clone())), Some(Seed::of(bytes.clone().try_into().unwrap())));
    let forms = [secret.as_bytes().to_vec(), bytes.clone(), hex::encode(&bytes).into_bytes()];
    for form in &forms {
        holds_nowhere(scene.app.dir.path(), form);
    }
    assert!(!holding(scene.app.dir.path(), "SQLite format 3").is_empty(), "the test reads what it thinks it reads");
}

#[tokio::test]
async fn a_code_is_good_for_two_steps_and_for_one_session() {
    let logs = Logs::capture();
    let scene = Scene::open().await;
    scene.operator("li", Role::Owner).await;
    let try_step =
        async |from_now: i64| status(scene.login_with("li", PASSWORD, Some(&scene.code_at("li", from_now)))).await;
    assert_eq!(try_step(1).await, 401, "not before its time");
    assert_eq!(try_step(-2).await, 401, "nor long after");
    assert_eq!(try_step(-1).await, 201, "time to type");
    assert_eq!(try_step(-1).await, 401, "once");
    assert_eq!(try_step(0).await, 201);
    assert_eq!(try_step(0).await, 401, "once");
    assert_eq!(try_step(-1).await, 401, "nor one from before the last");
    assert_eq!(logs.with(&["refused a login", "operator=\"li\"", "used_code"]).len(), 3);
    scene.app.clock.advance(STEP);
    assert_eq!(try_step(-1).await, 401, "also in its second step");

    // What failed is forgotten.
    scene.app.clock.advance(Duration::from_secs(60 * 60));
    let code = scene.code_at("li", 0);
    let before = scene.app.count("SELECT COUNT(*) FROM operator_session");
    let login = || scene.login_with("li", PASSWORD, Some(&code)).send();
    let both = tokio::join!(within(login()), within(login()));
    let mut statuses = [both.0.unwrap().status().as_u16(), both.1.unwrap().status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 401], "of two at once one is first");
    assert_eq!(scene.app.count("SELECT COUNT(*) FROM operator_session"), before + 1);
}

#[tokio::test]
async fn a_used_code_is_not_good_again_after_a_restart() {
    let mut scene = Scene::open().await;
    scene.operator("li", Role::Owner).await;
    let code = scene.code_at("li", 0);
    assert_eq!(status(scene.login_with("li", PASSWORD, Some(&code))).await, 201);
    scene.app.stop().await;
    scene.app.launch().await;
    assert_eq!(status(scene.login_with("li", PASSWORD, Some(&code))).await, 401);
    scene.app.clock.advance(STEP);
    assert_eq!(status(scene.login("li", PASSWORD)).await, 201);
}

#[tokio::test]
async fn the_right_password_without_the_code_gives_nothing_away_is_slowed_down_and_written_down() {
    let logs = Logs::capture();
    let scene = Scene::behind_a_proxy().await;
    scene.operator("li", Role::Owner).await;
    let good = scene.code_at("li", 0);
    let wrong = if good == "000000" { "000001" } else { "000000" };
    let mut answers: Vec<(u16, HeaderMap, Value)> = Vec::new();
    for (n, (name, password, code)) in [
        ("li", "wrong", Some(good.as_str())),
        ("li", "wrong", None),
        ("li", PASSWORD, None),
        ("li", PASSWORD, Some("")),
        ("li", PASSWORD, Some(wrong)),
        ("li", PASSWORD, Some("no code at all")),
        ("nobody", PASSWORD, Some(good.as_str())),
    ]
    .into_iter()
    .enumerate()
    {
        let request = scene.login_with(name, password, code).header("x-forwarded-for", format!("192.0.2.{n}"));
        let answer = within(request.send()).await.unwrap();
        let (status, mut headers) = (answer.status().as_u16(), answer.headers().clone());
        for own in ["x-request-id", "date"] {
            headers.remove(own);
        }
        answers.push((status, headers, within(answer.json()).await.unwrap()));
    }
    assert_eq!((answers[0].0, &answers[0].2["type"]), (401, &json!("urn:qimate:problem:login-failed")));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    for (reason, count) in [("\"login\"", 3), ("no_code", 1), ("wrong_code", 3)] {
        assert_eq!(logs.with(&["WARN", "refused a login", reason]).len(), count, "{reason}");
    }
    assert!(logs.with(&["no code at all"]).is_empty(), "nor is a code in the log");

    // Whoever knows the password and tries codes waits as whoever tries passwords does.
    let guess = async |code: &str| {
        let request = scene.login_with("li", PASSWORD, Some(code)).header("x-forwarded-for", "198.51.100.7");
        status(request).await
    };
    scene.app.clock.advance(Duration::from_secs(60 * 60));
    let good = scene.code_at("li", 0);
    for _ in 0..5 {
        assert_eq!(guess(wrong).await, 401);
    }
    assert_eq!(guess(&good).await, 429);
    assert!(!logs.with(&["a login was not looked at", "too_often"]).is_empty());
    for n in 0..10 {
        let request =
            scene.login_with("li", PASSWORD, Some(wrong)).header("x-forwarded-for", format!("198.51.101.{n}"));
        within(request.send()).await.unwrap();
    }
    let elsewhere = scene.login_with("li", PASSWORD, Some(wrong)).header("x-forwarded-for", "198.51.102.1");
    assert_eq!(status(elsewhere).await, 429, "from many addresses too");
    // Where everything was right, nothing counts.
    scene.app.clock.advance(Duration::from_secs(60 * 60));
    for _ in 0..7 {
        let login = scene.login("li", PASSWORD).header("x-forwarded-for", "203.0.113.1");
        assert_eq!(status(login).await, 201);
    }
}

#[tokio::test]
async fn a_reset_takes_it_away_and_the_next_code_gives_another() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "wang", Role::Owner).await;
    scene.operator("li", Role::Auditor).await;
    assert_eq!(status(scene.login("li", PASSWORD)).await, 201);
    let of_the_lost_phone = scene.code_at("li", 1);
    assert_eq!(seeds(&scene), 2);
    let reset = owner.post("/operators/li/reset", Value::Null).await;
    assert_eq!((reset.status, &reset.body["second_factor"]), (200, &json!(false)));
    assert_eq!(seeds(&scene), 1);
    let entry: String = scene
        .app
        .database()
        .query_row("SELECT changes FROM audit WHERE action = 'operator.reset'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(entry, r#"{"second_factor":[true,false]}"#);
    let (secret, _) = shown(scene.accept(&reset.text("code"), PASSWORD).await).await;
    assert_eq!(seeds(&scene), 2);
    scene.app.clock.advance(STEP);
    assert_eq!(status(scene.login_with("li", PASSWORD, Some(&of_the_lost_phone))).await, 401);
    assert_eq!(status(scene.login("li", PASSWORD)).await, 201, "{secret}");

    // Also within the thirty seconds of a code that opened a session: it was that of another seed.
    let code = scene.reset("li").await;
    assert_eq!(scene.accept(&code, PASSWORD).await.status(), 200);
    let code = scene.code_at("li", 0);
    assert_eq!(status(scene.login_with("li", PASSWORD, Some(&code))).await, 201);
}

#[tokio::test]
async fn an_account_from_before_hears_what_to_do_when_its_password_is_right() {
    let logs = Logs::capture();
    let mut scene = Scene::open_with(|config| config.admin.second_factor = SecondFactor::Off).await;
    scene.operator("li", Role::Owner).await;
    let token = scene.token("li", &Scope::ALL, None).await;
    scene.app.stop().await;
    scene.app.config.admin.second_factor = SecondFactor::Required;
    scene.app.launch().await;
    assert!(!logs.with(&["WARN", "an operator has no second factor and cannot log in", "operator=li"]).is_empty());
    for code in [None, Some("000000")] {
        assert_eq!(
            problem(within(scene.login_with("li", "wrong", code).send()).await.unwrap()).await.1,
            "login-failed"
        );
        let told = answer(scene.login_with("li", PASSWORD, code)).await;
        assert_eq!((told.status, told.problem()), (403, "no-second-factor"));
        assert!(told.text("detail").contains("`qimate operator reset li`"), "{:#}", told.body);
    }
    assert_eq!(logs.with(&["refused a login", "no_second_factor"]).len(), 2);
    assert_eq!(scene.app.count("SELECT COUNT(*) FROM operator_session"), 0);
    // Tokens of programs are not concerned.
    let program = Program { scene: &scene, token: token.expose().clone() };
    let one = program.get("/operators/li").await;
    assert_eq!((&one.body["state"], &one.body["second_factor"]), (&json!("no second factor"), &json!(false)));
    let code = scene.reset("li").await;
    assert_eq!(scene.accept(&code, PASSWORD).await.status(), 200);
    assert_eq!(status(scene.login("li", PASSWORD)).await, 201);
}

#[tokio::test]
async fn where_it_is_off_the_password_alone_opens_a_session() {
    let scene = Scene::open_with(|config| {
        config.admin.second_factor = SecondFactor::Off;
        config.secrets.keys = None;
    })
    .await;
    let code = scene.invite("li", Role::Owner).await;
    let accepted = scene.accept(&code, PASSWORD).await;
    assert_eq!((accepted.status().as_u16(), accepted.bytes().await.unwrap().len()), (204, 0));
    assert_eq!(seeds(&scene), 0);
    for code in [None, Some("000000"), Some("what is this")] {
        assert_eq!(status(scene.login_with("li", PASSWORD, code)).await, 201, "{code:?}: not looked at");
    }
    assert_eq!(status(scene.login_with("li", "wrong", None)).await, 401);
    let token = scene.token("li", &Scope::ALL, None).await.expose().clone();
    let one = Program { scene: &scene, token }.get("/operators/li").await;
    assert_eq!((&one.body["state"], &one.body["second_factor"]), (&json!("active"), &json!(false)));
}
