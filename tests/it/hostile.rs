//! What a stranger sends who looks for a hole: requests that two parsers would read differently, addresses that are
//! written otherwise, bodies that are no honest JSON. Whatever it is, nothing is opened, and the daemon goes on.

use qimate::{
    model::operator::{Role, Scope},
    secret::Secret,
};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    administration::{self, problem},
    harness::{App, Logs, within},
    v1,
};

const KEY: &str = "a-key-that-nobody-finds-by-trying";

/// A daemon with everything switched on that anybody can ask.
async fn everything() -> administration::Scene {
    let scene = administration::Scene::open_with(|config| {
        config.v1.enabled = true;
        config.server.operator_key = Some(Secret::new(KEY.to_owned()));
    })
    .await;
    scene.operator("li", Role::Owner).await;
    scene
}

/// What comes back for these bytes, until the daemon closes the connection or has answered `answers` times.
async fn said(app: &App, bytes: &[u8], answers: usize) -> String {
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    // It may have refused the head before all is written.
    let _ = stream.write_all(bytes).await;
    let mut said = Vec::new();
    within(async {
        let mut piece = [0; 4096];
        loop {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(read) => said.extend_from_slice(&piece[..read]),
            }
            let heads = String::from_utf8_lossy(&said).matches("HTTP/1.1 ").count();
            // Every body of ours ends with one of these.
            if heads >= answers && (said.ends_with(b"\n") || said.ends_with(b"}")) {
                break;
            }
        }
    })
    .await;
    String::from_utf8_lossy(&said).into_owned()
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("closed")
}

#[tokio::test]
async fn a_request_has_one_length_or_is_refused() {
    let scene = everything().await;
    for (what, head) in [
        ("two lengths", "Content-Length: 4\r\nContent-Length: 5\r\n"),
        ("two in one", "Content-Length: 4, 5\r\n"),
        ("a sign", "Content-Length: +4\r\n"),
        ("negative", "Content-Length: -1\r\n"),
        ("no number", "Content-Length: 0x4\r\n"),
        ("beyond all numbers", "Content-Length: 99999999999999999999999\r\n"),
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n"),
        ("chunked and then something", "Transfer-Encoding: chunked, gzip\r\n"),
        ("a space before the colon", "Transfer-Encoding : chunked\r\n"),
        ("a folded line", "X: a\r\n b\r\nTransfer-Encoding:\r\n chunked\r\n"),
        ("a line of nothing", ": chunked\r\n"),
        ("a bare CR", "X: a\rTransfer-Encoding: chunked\r\n"),
        ("a zero byte", "X: a\0b\r\n"),
    ] {
        let request = format!("POST /wxcomapp HTTP/1.1\r\nHost: x\r\n{head}\r\nabcd");
        let answer = said(&scene.app, request.as_bytes(), 1).await;
        assert!(matches!(status(&answer), "400" | "closed"), "{what}: {answer}");
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{what}: {answer}");
    }
    for (what, body) in [
        ("a length that is none", "zz\r\nabcd\r\n0\r\n\r\n"),
        ("a length beyond all numbers", "fffffffffffffffff\r\nabcd"),
        ("more than was announced", "2\r\nabcd\r\n0\r\n\r\n"),
    ] {
        let request = format!("POST /wxcomapp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let answer = said(&scene.app, request.as_bytes(), 1).await;
        assert!(!status(&answer).starts_with('2'), "{what}: {answer}");
    }
    // Of both kinds of length the chunks count (RFC 9112, 6.3): the body ends with them, and what follows is a request of
    // its own, which has no right of the one before.
    let inner = "GET /admin/api/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let token = scene.token("li", &[Scope::Read], None).await;
    let outer = format!(
        "POST /admin/api/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
        token.expose(),
        inner.len() + 5
    );
    let mut stream = TcpStream::connect(scene.app.address()).await.unwrap();
    stream.write_all(outer.as_bytes()).await.unwrap();
    let mut answers = String::new();
    within(stream.read_to_string(&mut answers)).await.unwrap();
    let rest = answers.strip_prefix("HTTP/1.1 405").expect("the outer one has no such method");
    // Nor is it asked at all: after such a request the connection is closed.
    assert!(!rest.contains("HTTP/1.1 2") && rest.contains("connection: close"), "{answers}");
}

#[tokio::test]
async fn what_is_no_http_of_ours_is_refused_and_a_head_has_its_limit() {
    let scene = everything().await;
    for (what, bytes) in [
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("TLS", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
        ("no HTTP", b"GET /healthz\r\n\r\n".to_vec()),
        ("another version", b"GET /healthz HTTP/3.7\r\nHost: x\r\n\r\n".to_vec()),
        ("a space in the path", b"GET /heal thz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a control character", b"GET /he\x1balthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("an escape in a header", b"GET /healthz HTTP/1.1\r\nHost: x\r\nUser-Agent: \x1b[2J\r\n\r\n".to_vec()),
        ("a long head", format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(64 * 1024)).into()),
        ("a long path", format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(64 * 1024)).into()),
        ("many headers", format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(200)).into()),
    ] {
        let answer = said(&scene.app, &bytes, 1).await;
        assert!(matches!(status(&answer), "400" | "414" | "431" | "505" | "closed"), "{what}: {answer}");
    }
    assert_eq!(status(&said(&scene.app, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 1).await), "200");
}

#[tokio::test]
async fn an_address_is_what_is_written_and_no_header_makes_it_another() {
    let scene = everything().await;
    let paths = [
        "//admin/api/me",
        "/admin//api/me",
        "/./admin/api/me",
        "/v1/../admin/api/me",
        "/healthz/../admin/api/me",
        "/v1/%2e%2e/admin/api/me",
        "/%61dmin/api/me",
        "/admin%2fapi%2fme",
        "/admin/api/me/",
        "/admin/api/me;x=1",
        "/admin/api/me%00",
        "/admin/api/me%20",
        "/ADMIN/API/me",
        "/admin\\api\\me",
        "/wxcomapp/../metrics",
        "/wxcomapp/%2e%2e/status",
        "/%6detrics",
        "//metrics",
        "/metrics/",
        "/metrics%2f",
        "/Metrics",
        "/v1/..;/metrics",
        "/etc/passwd",
        "/..%2f..%2f..%2f..%2fetc/passwd",
        "/config.toml",
        "/.git/config",
        "/qimate.db",
        "http://127.0.0.1/metrics",
        "*",
    ];
    for path in paths {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = said(&scene.app, request.as_bytes(), 1).await;
        let is_behind_a_door = ["/admin/api/", "/v1/"].iter().any(|door| path.starts_with(door));
        assert!(
            matches!(status(&answer), "400" | "404") || is_behind_a_door && status(&answer) == "401",
            "{path}: {answer}"
        );
    }
    // Headers by which some frameworks take another method, path, host or caller.
    for (name, value) in [
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-Method-Override", "POST"),
        ("X-Original-URL", "/metrics"),
        ("X-Rewrite-URL", "/admin/api/me"),
        ("X-Forwarded-Prefix", "/metrics"),
        ("X-Forwarded-Host", "localhost"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1"),
        ("X-User-ID", "1"),
        ("X-Qimate-User", "root"),
    ] {
        for (path, expected) in [("/healthz", 200), ("/metrics", 404), ("/admin/api/me", 401), ("/v1/models", 401)] {
            let url = scene.app.url(path);
            let answer = within(reqwest::Client::new().get(url).header(name, value).send()).await.unwrap();
            assert_eq!(answer.status(), expected, "{name} at {path}");
        }
    }
    // What is asked twice is asked by nobody.
    for (one, other) in [("x", KEY), (KEY, "x"), (KEY, KEY)] {
        let both = format!("Authorization: Bearer {one}\r\nAuthorization: Bearer {other}");
        let twice = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{both}\r\n\r\n");
        assert_eq!(status(&said(&scene.app, twice.as_bytes(), 1).await), "404");
    }
    let methods = ["TRACE", "CONNECT", "OPTIONS", "PUT", "PROPFIND", "get", "FOO"];
    for method in methods {
        for path in ["/healthz", "/readyz", "/wxcomapp", "/", "/admin/api/me", "/v1/models", "/metrics"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nX-Secret: to-be-reflected\r\nConnection: close\r\n\r\n"
            );
            let answer = said(&scene.app, request.as_bytes(), 1).await;
            assert!(matches!(status(&answer), "400" | "401" | "404" | "405"), "{method} {path}: {answer}");
            assert!(!answer.contains("to-be-reflected"), "{method} {path}: {answer}");
        }
    }
}

/// What is not there says nothing of what is: neither that there are operators, nor that programs are served.
#[tokio::test]
async fn an_address_that_is_not_there_tells_of_no_door() {
    let scene = everything().await;
    let without_programs = administration::Scene::open().await;
    without_programs.operator("li", Role::Owner).await;
    let http = reqwest::Client::new();
    for (scene, paths) in [
        (&scene, &["/", "/nothing", "/admin", "/admin/", "/adminapi", "/v2/models", "/wp-login.php"][..]),
        (&without_programs, &["/", "/admin", "/v1", "/v1/models", "/v1/chat/completions"][..]),
    ] {
        for path in paths {
            for request in [http.get(scene.app.url(path)), http.post(scene.app.url(path)).bearer_auth(KEY).body("{}")] {
                let answer = within(request.send()).await.unwrap();
                assert_eq!(answer.status(), 404, "{path}");
                let names: Vec<_> = answer.headers().keys().map(|name| name.as_str().to_owned()).collect();
                assert!(
                    !names.iter().any(|name| name == "x-request-id" || name == "www-authenticate"),
                    "{path}: {names:?}"
                );
                assert_eq!(within(answer.text()).await.unwrap(), "", "{path}");
            }
        }
    }
}

#[tokio::test]
async fn json_is_read_one_way_or_not_at_all() {
    let scene = everything().await;
    let post =
        |body: String| scene.request(Method::POST, "/session").header("content-type", "application/json").body(body);
    let right = administration::PASSWORD;
    for (what, body) in [
        ("a field twice", format!(r#"{{"name": "li", "password": "x", "password": "{right}"}}"#)),
        ("in other letters", format!(r#"{{"name": "li", "Password": "{right}"}}"#)),
        ("deep", format!(r#"{{"name": {}}}"#, "[".repeat(2000))),
        ("a list", format!(r#"["li", "{right}"]"#)),
        ("two of them", format!(r#"{{"name": "li", "password": "{right}"}}{{}}"#)),
        ("a comment", format!(r#"{{"name": "li", /* */ "password": "{right}"}}"#)),
        ("single quotes", format!("{{'name': 'li', 'password': '{right}'}}")),
        ("a number", r#"{"name": "li", "password": 1e400}"#.to_owned()),
        ("half a letter", r#"{"name": "li", "password": "\ud800"}"#.to_owned()),
        ("a BOM", format!("\u{feff}{{\"name\": \"li\", \"password\": \"{right}\"}}")),
        ("another prototype", format!(r#"{{"name": "li", "password": "{right}", "__proto__": {{"role": "owner"}}}}"#)),
        (
            "more than is asked for",
            format!(r#"{{"name": "li", "password": "{right}", "role": "owner", "scopes": []}}"#),
        ),
    ] {
        let answer = within(post(body).send()).await.unwrap();
        assert_eq!(problem(answer).await, (400, "bad-request".to_owned()), "{what}");
    }
    // Letters that look alike, or fold into others, are others.
    for name in ["lі", "ＬＩ", "ł", "l\u{0131}", "li\u{0}", "li\u{200b}", " li", "li'--", "li\" OR 1=1", "../li"] {
        let answer = within(scene.login(name, right).send()).await.unwrap();
        assert!(matches!(answer.status().as_u16(), 401 | 429), "{name:?}");
        // Each is a failure of this address: time lets the next one be looked at.
        scene.app.clock.advance(std::time::Duration::from_secs(60 * 60));
    }
    assert_eq!(within(scene.login("li", right).send()).await.unwrap().status(), 201);
}

#[tokio::test]
async fn a_program_that_sends_no_honest_json_reaches_no_model() {
    let scene = v1::Scene::open_with(|_| {}).await;
    let ask = |body: String| {
        let request = reqwest::Client::new().post(scene.app.url("/v1/chat/completions")).bearer_auth(&scene.key);
        request.header("content-type", "application/json").body(body)
    };
    let messages = r#""messages": [{"role": "user", "content": "喂"}]"#;
    let deep = 100_000;
    for (what, body) in [
        ("a model twice", format!(r#"{{"model": "qimate-demo", "model": "gpt-9", {messages}}}"#)),
        ("escaped twice", format!(r#"{{"model": "qimate-demo", "\u006dodel": "gpt-9", {messages}}}"#)),
        ("in other letters", format!(r#"{{"model": "qimate-demo", "MODEL": "gpt-9", {messages}}}"#)),
        ("a long s", format!(r#"{{"model": "qimate-demo", {messages}, "me\u017f\u017fages": []}}"#)),
        ("cut off", format!(r#"{{"model": "qimate-demo", {messages}"#)),
        ("two of them", format!(r#"{{"model": "qimate-demo", {messages}}}{{}}"#)),
        ("an endless limit", format!(r#"{{"model": "qimate-demo", {messages}, "max_tokens": 1e999}}"#)),
        ("a negative limit", format!(r#"{{"model": "qimate-demo", {messages}, "max_tokens": -1}}"#)),
        ("a limit beyond all numbers", format!(r#"{{"model": "qimate-demo", {messages}, "n": 18446744073709551616}}"#)),
        ("a model with a path", format!(r#"{{"model": "../../etc/passwd", {messages}}}"#)),
        ("a model with a line", format!(r#"{{"model": "a\r\nX-Injected: 1", {messages}}}"#)),
        ("a name for nothing", format!("{{{messages}}}")),
        ("deep without an end", format!(r#"{{"model": "qimate-demo", "messages": {}"#, "[".repeat(deep))),
    ] {
        let answer = within(ask(body).send()).await.unwrap();
        let status = answer.status().as_u16();
        assert!((400..500).contains(&status), "{what}: {status}");
        assert!(!answer.headers().contains_key("x-injected"), "{what}");
    }
    assert!(scene.app.model.requests().is_empty(), "no model was asked");
    // Deep and honest: nobody reads it recursively, so it goes through or is refused, and the daemon lives.
    let nested = format!(r#"{{"model": "qimate-demo", {messages}, "x": {}{}}}"#, "[".repeat(deep), "]".repeat(deep));
    within(ask(nested).send()).await.unwrap();
    let honest = within(ask(format!(r#"{{"model": "qimate-demo", {messages}}}"#)).send()).await.unwrap();
    assert_eq!(honest.status(), 200);
}

#[tokio::test]
async fn every_answer_tells_browsers_to_do_nothing_with_it() {
    let scene = everything().await;
    let http = reqwest::Client::new();
    let token = scene.token("li", &[Scope::Read], None).await;
    let mut asked = Vec::new();
    for path in
        ["/healthz", "/readyz", "/wxcomapp", "/nothing", "/metrics", "/v1/models", "/admin/api/me", "/admin/api/x"]
    {
        asked.push(http.get(scene.app.url(path)));
        asked.push(http.get(scene.app.url(path)).bearer_auth(token.expose()));
    }
    for path in ["/healthz", "/metrics", "/status", "/nothing"] {
        asked.push(http.get(scene.app.operations_url(path)));
    }
    asked.push(http.post(scene.app.url("/wxcomapp")).body("<xml/>"));
    for request in asked {
        let answer = within(request.send()).await.unwrap();
        let url = answer.url().clone();
        let headers = answer.headers().clone();
        let policy = headers["content-security-policy"].to_str().unwrap();
        for directive in
            ["default-src 'none'", "base-uri 'none'", "object-src 'none'", "frame-ancestors 'none'", "sandbox"]
        {
            assert!(policy.contains(directive), "{url}: {policy}");
        }
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(headers[name], value, "{url}: {name}");
        }
        assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{url}");
        assert!(!headers.contains_key("server") && !headers.contains_key("x-powered-by"), "{url}");
        assert!(!headers.contains_key("location") && !answer.status().is_redirection(), "{url}");
        let kind = headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let body = within(answer.text()).await.unwrap();
        let says = kind.as_deref().is_some_and(|kind| kind.contains("json") || kind.contains("charset=utf-8"));
        assert!(body.is_empty() || says, "{url}: {kind:?} for {body}");
    }
}

#[tokio::test]
async fn whatever_opens_or_does_not_open_is_in_the_log_with_who_and_from_where() {
    let logs = Logs::capture_up_to(tracing::Level::INFO);
    let scene = everything().await;
    let token = scene.token("li", &[Scope::Read], None).await;
    let get = |path: &str| scene.request(Method::GET, path);
    within(get("/me").bearer_auth(token.expose()).send()).await.unwrap();
    assert!(
        !logs
            .with(&["an operator asked", "operator=li", "/admin/api/me", "status=200", "address=127.0.0.1"])
            .is_empty()
    );
    within(get("/me").bearer_auth("qmo_wrong").send()).await.unwrap();
    assert!(!logs.with(&["refused an operator's request", "unauthenticated", "address=127.0.0.1"]).is_empty());
    let in_path = within(get(&format!("/{}", token.expose())).bearer_auth(token.expose()).send()).await.unwrap();
    assert_eq!(problem(in_path).await, (401, "secret-in-address".to_owned()), "in the path neither");
    within(scene.accept("qmi_wrong", administration::PASSWORD)).await;
    assert!(!logs.with(&["refused a code for a password", "nobody", "127.0.0.1"]).is_empty());
    for _ in 0..7 {
        within(scene.login("li", "wrong").send()).await.unwrap();
    }
    assert!(!logs.with(&["refused a login", "li", "127.0.0.1"]).is_empty());
    assert!(!logs.with(&["a login was not looked at", "too_often", "127.0.0.1"]).is_empty());
    let narrow = scene.token("li", &[Scope::Keys], None).await;
    let operators = within(get("/operators").bearer_auth(narrow.expose()).send()).await.unwrap();
    assert_eq!(problem(operators).await, (403, "missing-scope".to_owned()));
    assert!(!logs.with(&["refused an operator's request", "operator=li", "scope=\"read\""]).is_empty());
    let metrics = reqwest::Client::new().get(scene.app.url("/metrics")).bearer_auth("a-wrong-operator-key-of-somebody");
    within(metrics.send()).await.unwrap();
    assert!(!logs.with(&["refused an operator key", "address=127.0.0.1"]).is_empty());
    let stranger = "qm_000000000000_nothing";
    within(reqwest::Client::new().get(scene.app.url("/v1/models")).bearer_auth(stranger).send()).await.unwrap();
    assert!(!logs.with(&["refused a program", "invalid_api_key", "key.id=none", "address=127.0.0.1"]).is_empty());
    for secret in ["qmo_wrong", "qmi_wrong", &token.expose()[17..60], "a-wrong-operator-key", KEY] {
        assert!(logs.with(&[secret]).is_empty(), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_login_ends_the_session_of_before_and_a_logout_leaves_nothing_in_the_browser() {
    let scene = everything().await;
    let before = scene.browser("li").await;
    let login = scene.login("li", administration::PASSWORD).header("cookie", &before.cookie);
    let answer = within(login.send()).await.unwrap();
    assert_eq!(answer.status(), 201);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(scene.me(&before).await, 401, "the browser forgot it, and so did we");
    let me: serde_json::Value = within(answer.json()).await.unwrap();
    let csrf = me["by"]["csrf_token"].as_str().unwrap().to_owned();
    let after = administration::Browser { cookie, csrf };
    assert_eq!(scene.me(&after).await, 200);
    // Who does not get in ends nothing.
    let wrong = scene.login("li", "not my password").header("cookie", &after.cookie);
    assert_eq!(within(wrong.send()).await.unwrap().status(), 401);
    assert_eq!(scene.me(&after).await, 200);
    let out = within(scene.of_page(Method::DELETE, "/session", &after).send()).await.unwrap();
    assert_eq!(out.headers()["clear-site-data"], r#""cache", "storage""#);
}

/// A page of a stranger whose name was made to lead to this machine reads nothing of the operators' address.
#[tokio::test]
async fn the_operators_address_is_not_asked_by_a_name_that_others_own() {
    let app = App::start_with(|config| config.server.public_url = Some("https://qimate.example.com".to_owned())).await;
    let http = reqwest::Client::new();
    for path in ["/metrics", "/status", "/readyz?verbose", "/healthz", "/nothing"] {
        for host in ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", "qimate.example.com.evil.example"] {
            let answer = within(http.get(app.operations_url(path)).header("host", host).send()).await.unwrap();
            assert_eq!(answer.status(), 421, "{host}{path}");
        }
    }
    for host in ["localhost", "127.0.0.1:9464", "[::1]:9464", "qimate", "qimate.internal", "QIMATE.example.com"] {
        let answer = within(http.get(app.operations_url("/status")).header("host", host).send()).await.unwrap();
        assert_eq!(answer.status(), 200, "{host}");
    }
    let post = http.post(app.operations_url("/upstreams/clear")).header("host", "evil.example");
    assert_eq!(within(post.send()).await.unwrap().status(), 421);
}

/// Of the cookie's name there is one way to write it; of what stands in it, none that opens more.
#[tokio::test]
async fn a_cookie_that_another_page_tossed_opens_nothing() {
    let scene = everything().await;
    let browser = scene.browser("li").await;
    let value = browser.cookie.split_once('=').unwrap().1;
    for cookie in [
        format!("__host-qimate={value}"),
        format!("__Secure-qimate={value}"),
        format!("qimate={value}"),
        format!("__Host-qimate=x; __Host-qimate={value}"),
        format!("__Host-qimate={value}; __Host-qimate="),
        format!("__Host-qimate=\"{value}\""),
        format!("__Host-qimate={}", value.to_uppercase()),
        format!("__Host-qimate={value}0"),
        format!("__Host-qimate={}", value.replacen("qms_", "qmo_", 1)),
    ] {
        let answer = within(scene.request(Method::GET, "/me").header("cookie", &cookie).send()).await.unwrap();
        assert_eq!(problem(answer).await, (401, "unauthenticated".to_owned()), "{cookie}");
    }
    // A form of another page sends what looks like JSON, without asking first: it brings the cookie, and no more.
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"]
    {
        let request = scene.request(Method::POST, "/password").header("cookie", &browser.cookie);
        let request = request.header("content-type", kind).header("origin", "https://evil.example");
        let body = json!({"current_password": administration::PASSWORD, "password": "another horse battery"});
        let answer = within(request.body(body.to_string()).send()).await.unwrap();
        assert_eq!(problem(answer).await, (403, "other-origin".to_owned()), "{kind}");
    }
    // Both names of the host are the stranger's: no browser sends that, and it lacks the token all the same.
    let request = scene.request(Method::DELETE, "/session").header("cookie", &browser.cookie);
    let request = request.header("host", "evil.example").header("origin", "https://evil.example");
    assert_eq!(problem(within(request.send()).await.unwrap()).await, (403, "csrf".to_owned()));
    assert_eq!(scene.me(&browser).await, 200);
}
