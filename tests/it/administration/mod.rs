//! Operators and `/admin/api`, at the socket: who is let in, for how long, and how often it may be tried.

mod asked;
mod commands;
mod documented;
mod doors;
mod every;
mod frame;
mod keys;
mod logins;
mod members;
mod operators;
mod plans;
mod second_factor;
mod secrets;
mod sessions;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use qimate::{
    clock::{Clock, Timestamp},
    config::Config,
    model::{
        network::Network,
        operator::{OperatorName, Role, Scope},
        second_factor::{SecondFactor, Seed, step_at},
    },
    secret::Secret,
    store::{
        Store,
        operators::{
            Created, Reset,
            tokens::{MadeToken, NewToken},
        },
    },
    vault::{MasterKey, MasterKeys},
};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::harness::{App, within};

pub const PASSWORD: &str = "correct horse battery";

/// A daemon that is administered.
pub struct Scene {
    pub app: App,
    http: reqwest::Client,
    /// What operators have in their authenticator apps, by name.
    apps: Mutex<HashMap<String, Seed>>,
}

/// What a browser has after a login.
#[derive(Clone, Debug)]
pub struct Browser {
    pub cookie: String,
    pub csrf: String,
}

pub fn name(text: &str) -> OperatorName {
    OperatorName::parse(text).unwrap()
}

impl Scene {
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub async fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        let with_master_key = |config: &mut Config| {
            config.secrets.keys = Some(MasterKeys { current: MasterKey::draw().unwrap().0, previous: None });
            change(config);
        };
        Self { app: App::start_with(with_master_key).await, http: reqwest::Client::new(), apps: Mutex::default() }
    }

    /// Behind a proxy, so that a story can ask from anywhere.
    pub async fn behind_a_proxy() -> Self {
        Self::open_with(|config| config.v1.trusted_proxies = vec![Network::parse("127.0.0.1").unwrap()]).await
    }

    pub fn now(&self) -> Timestamp {
        Clock::Manual(self.app.clock.clone()).now()
    }

    /// The database, as a command beside the daemon has it.
    pub fn beside(&self) -> Store {
        Store::open_beside(&self.app.config.storage).unwrap()
    }

    /// Makes an operator as a command does, felt by the daemon. Gives the code.
    pub async fn invite(&self, operator: &str, role: Role) -> String {
        let created = self
            .beside()
            .create_operator(&qimate::model::audit::Actor::Daemon, &name(operator), role, self.now())
            .await
            .unwrap();
        let Created::New(_, code) = created else { panic!("there is one") };
        self.app.felt().await;
        code.expose().clone()
    }

    pub async fn reset(&self, operator: &str) -> String {
        let Reset::Yes(_, code) = self
            .beside()
            .reset_operator(&qimate::model::audit::Actor::Daemon, &name(operator), self.now())
            .await
            .unwrap()
        else {
            panic!("not reset")
        };
        self.app.felt().await;
        code.expose().clone()
    }

    /// An operator who has set their password, and their second factor.
    pub async fn operator(&self, operator: &str, role: Role) {
        let code = self.invite(operator, role).await;
        let wanted = match self.app.config.admin.second_factor {
            SecondFactor::Required => 200,
            SecondFactor::Off => 204,
        };
        assert_eq!(self.accept(&code, PASSWORD).await.status(), wanted);
    }

    pub async fn token(&self, operator: &str, scopes: &[Scope], expires_at: Option<Timestamp>) -> Secret<String> {
        let scopes = scopes.iter().copied().collect();
        let new = NewToken { operator: name(operator), label: "test".to_owned(), scopes, expires_at };
        let MadeToken::New(_, text) =
            self.beside().make_token(&qimate::model::audit::Actor::Daemon, new, self.now()).await.unwrap()
        else {
            panic!("not made")
        };
        self.app.felt().await;
        text
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.app.url(&format!("/admin/api{path}")))
    }

    /// Sets a password by a code; what is shown of a second factor is taken into the app.
    pub async fn accept(&self, code: &str, password: &str) -> Response {
        let body = json!({"code": code, "password": password});
        let answer = within(self.request(Method::POST, "/invitation").json(&body).send()).await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = within(answer.bytes()).await.unwrap();
        if status == 200 {
            let shown: Value = serde_json::from_slice(&body).unwrap();
            let shown = &shown["second_factor"];
            let label = shown["uri"].as_str().unwrap().strip_prefix("otpauth://totp/Qimate:").unwrap();
            let name = label.split('?').next().unwrap().replace("%40", "@");
            let seed = Seed::parse(&Secret::new(shown["secret"].as_str().unwrap().to_owned())).unwrap();
            self.apps().insert(name, seed);
        }
        let mut again = axum::http::Response::new(body);
        (*again.status_mut(), *again.headers_mut()) = (status, headers);
        again.into()
    }

    fn apps(&self) -> std::sync::MutexGuard<'_, HashMap<String, Seed>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an operator's app shows at this step, counted from that of now.
    pub fn code_at(&self, operator: &str, from_now: i64) -> String {
        let seed = self.apps()[&operator.to_lowercase()].clone();
        seed.code(step_at(self.now()) + from_now).expose().clone()
    }

    /// A code that is good: whose app shows one that was used waits for the next. Nothing, for who has no app.
    pub fn code(&self, operator: &str) -> Option<String> {
        let name = operator.to_lowercase();
        self.apps().get(&name)?;
        let sql = "SELECT second_factor_step FROM operator WHERE name = ?1";
        let used: Option<i64> = self.app.database().query_row(sql, [&name], |row| row.get(0)).unwrap();
        if used.is_some_and(|used| used >= step_at(self.now())) {
            self.app.clock.advance(Duration::from_secs(30));
        }
        Some(self.code_at(operator, 0))
    }

    /// A login with what somebody's app shows.
    pub fn login(&self, name: &str, password: &str) -> RequestBuilder {
        self.login_with(name, password, self.code(name).as_deref())
    }

    pub fn login_with(&self, name: &str, password: &str, code: Option<&str>) -> RequestBuilder {
        let mut body = json!({"name": name, "password": password});
        if let Some(code) = code {
            body["code"] = code.into();
        }
        self.request(Method::POST, "/session").json(&body)
    }

    /// A login from this address, behind a proxy of ours: the status, and how long to wait.
    pub async fn login_from(&self, address: &str, name: &str, password: &str) -> (u16, Option<u64>) {
        let answer = within(self.login(name, password).header("x-forwarded-for", address).send()).await.unwrap();
        let wait = answer.headers().get("retry-after").map(|wait| wait.to_str().unwrap().parse().unwrap());
        (answer.status().as_u16(), wait)
    }

    pub async fn browser(&self, name: &str) -> Browser {
        let answer = within(self.login(name, PASSWORD).send()).await.unwrap();
        assert_eq!(answer.status(), 201);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let me: Value = within(answer.json()).await.unwrap();
        Browser { cookie, csrf: me["by"]["csrf_token"].as_str().unwrap().to_owned() }
    }

    /// A request as a page of the daemon makes it.
    pub fn of_page(&self, method: Method, path: &str, browser: &Browser) -> RequestBuilder {
        let request = self.request(method, path).header("cookie", &browser.cookie);
        request.header("origin", format!("http://{}", self.app.address())).header("x-csrf-token", &browser.csrf)
    }

    pub async fn me(&self, browser: &Browser) -> u16 {
        let request = self.request(Method::GET, "/me").header("cookie", &browser.cookie);
        within(request.send()).await.unwrap().status().as_u16()
    }
}

/// The status and the end of the type of a problem, which is as RFC 9457 has it.
pub async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(
        (&headers["cache-control"], &headers["x-content-type-options"]),
        (&"no-store".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    assert!(headers["x-request-id"].to_str().unwrap().starts_with("req_"));
    assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control")));
    let body: Value = within(response.json()).await.unwrap();
    assert_eq!(body["status"], status);
    assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
    let kind = body["type"].as_str().unwrap().strip_prefix("urn:qimate:problem:").unwrap();
    (status, kind.to_owned())
}
