//! `/admin/api` as a program asks it, and what it is answered.

use qimate::model::{
    key::KeyId,
    operator::{Role, Scope, TokenText},
};
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

use super::Scene;
use crate::harness::within;

/// A program of an operator.
pub struct Program<'a> {
    pub scene: &'a Scene,
    pub token: String,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// `null`: nothing.
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn etag(&self) -> &str {
        self.header("etag")
    }

    /// The end of the type of a problem.
    pub fn problem(&self) -> &str {
        self.body["type"].as_str().map_or("", |kind| kind.strip_prefix("urn:qimate:problem:").unwrap())
    }

    /// What a text field says.
    pub fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {:#}", self.body)).to_owned()
    }
}

impl<'a> Program<'a> {
    /// Of a new operator of this name, who may all that the role may.
    pub async fn of(scene: &'a Scene, name: &str, role: Role) -> Self {
        scene.operator(name, role).await;
        let scopes: Vec<Scope> = role.scopes().into_iter().collect();
        let token = scene.token(name, &scopes, None).await.expose().clone();
        Self { scene, token }
    }

    pub fn token_id(&self) -> KeyId {
        TokenText::parse(&self.token).unwrap().id
    }

    pub async fn ask(&self, method: Method, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.scene.request(method, path).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        answer(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &Value::Null, &[]).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, &body, &[]).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PUT, path, &body, &[]).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PATCH, path, &body, &[]).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, &Value::Null, &[]).await
    }

    /// How many entries the audit log has, and who made the last.
    pub fn audited(&self) -> (i64, String) {
        let sql = "SELECT seq, actor FROM audit ORDER BY seq DESC LIMIT 1";
        self.scene.app.database().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = within(request.send()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = within(response.text()).await.unwrap();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    Answer { status, headers, body }
}
