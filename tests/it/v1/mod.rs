//! What programs ask by keys, at the socket: OpenAI's API over the daemon, with the model played behind it.

mod clients;
mod doors;
mod limits;
mod made;
mod many;
mod own_keys;
mod responses;
mod safety;
mod streams;
mod who;
mod whole;

use qimate::{
    clock::Clock,
    config::Config,
    model::{
        id::{CorpId, MemberId},
        key::{KeyId, KeyText, Owner, Scope},
        quota::{
            plan::{Limit, Plan},
            subject::Subject,
        },
    },
    store::{
        Store,
        keys::{Made, NewKey},
        plans::Holder,
    },
};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::harness::{App, within};

/// A daemon that serves programs, and a key of the member `li`.
pub struct Scene {
    pub app: App,
    pub key: String,
    http: reqwest::Client,
}

fn corp() -> CorpId {
    CorpId::parse("ww1436e0e65a779aee").unwrap()
}

fn li() -> MemberId {
    MemberId::parse("Li").unwrap()
}

fn new_key() -> NewKey {
    NewKey {
        corp: corp(),
        owner: Owner::Member(li()),
        name: "test".to_owned(),
        scope: Scope::default(),
        external_id: None,
        expires_at: None,
    }
}

fn plan(limits: &[&str]) -> Plan {
    Plan { limits: limits.iter().map(|limit| Limit::parse(limit).unwrap()).collect(), ..Plan::default() }
}

/// The least that a chat completion needs.
pub fn question(text: &str) -> Value {
    json!({"model": "qimate-demo", "messages": [{"role": "user", "content": text}]})
}

impl Scene {
    async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub async fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        let app = App::start_with(|config| {
            config.v1.enabled = true;
            config.v1.max_body = 1024 * 1024;
            config.llm.max_retries = 0;
            change(config);
        })
        .await;
        let mut scene = Self { app, key: String::new(), http: reqwest::Client::new() };
        scene.key = scene.make(new_key()).await;
        scene
    }

    fn now(&self) -> qimate::clock::Timestamp {
        Clock::Manual(self.app.clock.clone()).now()
    }

    /// The database, as a command beside the daemon has it.
    fn beside(&self) -> Store {
        Store::open_beside(&self.app.config.storage).unwrap()
    }

    /// A key, made as a command makes it, and felt by the daemon.
    async fn make(&self, new: NewKey) -> String {
        let Made::New(_, text) =
            self.beside().make_key(&qimate::model::audit::Actor::Daemon, new, self.now()).await.unwrap()
        else {
            panic!("not new")
        };
        self.felt().await;
        text.expose().clone()
    }

    /// Lets the second pass within which a running daemon feels a command.
    async fn felt(&self) {
        self.app.felt().await;
    }

    pub async fn attach(&self, holder: &Holder, name: &str, plan: &Plan) {
        let store = self.beside();
        store.save_plan(&qimate::model::audit::Actor::Daemon, name, plan, self.now()).await.unwrap();
        assert!(store.attach_plan(&qimate::model::audit::Actor::Daemon, holder, name, self.now()).await.unwrap());
        self.felt().await;
    }

    fn key_holder(&self) -> Holder {
        Holder::One(Subject::key(&corp(), &self.id()))
    }

    fn id(&self) -> KeyId {
        KeyText::parse(&self.key).unwrap().id
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.app.url(path)).bearer_auth(&self.key)
    }

    fn post(&self, body: &Value) -> RequestBuilder {
        self.http.post(self.app.url("/v1/chat/completions")).bearer_auth(&self.key).json(body)
    }

    /// Asks at another address than that of chat completions.
    async fn ask_at(&self, path: &str, body: &Value) -> Response {
        within(self.http.post(self.app.url(path)).bearer_auth(&self.key).json(body).send()).await.unwrap()
    }

    pub async fn ask(&self, body: &Value) -> Response {
        within(self.post(body).send()).await.unwrap()
    }

    /// What a key has used, as the key is told it.
    async fn me(&self) -> Value {
        within(self.get("/v1/me").send()).await.unwrap().json().await.unwrap()
    }

    /// The value of a line of `/metrics` that holds all of `words`, or 0.
    async fn metric(&self, words: &[&str]) -> f64 {
        let (_, text) = crate::harness::get(self.app.operations_url("/metrics"), None).await;
        let lines = text.lines().filter(|line| words.iter().all(|word| line.contains(word)));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }
}

/// The status, and what the envelope says.
async fn refusal(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let envelope: Value = within(response.json()).await.unwrap();
    assert!(envelope["error"]["message"].is_string() && envelope["error"]["type"].is_string(), "{envelope}");
    (status, envelope["error"].clone())
}
