//! What holds of every address, by the document that tells which there are: a new one is covered at once, and fails here
//! until it has an example.

use qimate::model::operator::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Scene,
    asked::{Answer, Program, answer},
};

/// An operation of the document.
struct Operation {
    id: String,
    method: Method,
    /// Below `/admin/api`.
    path: String,
    /// What it needs; `None`: a login, or nothing.
    scope: Option<String>,
    is_open: bool,
    /// Names of parameters that all operations share.
    shared: Vec<String>,
}

impl Operation {
    fn is_safe(&self) -> bool {
        self.method == Method::GET
    }

    fn takes(&self, parameter: &str) -> bool {
        self.shared.iter().any(|name| name == parameter)
    }

    /// Its address with something at every place.
    fn anywhere(&self) -> String {
        let places = self.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        places.collect::<Vec<_>>().join("/")
    }
}

async fn operations(program: &Program<'_>) -> Vec<Operation> {
    let document = program.get("/openapi.json").await;
    assert_eq!((document.status, &document.body["openapi"]), (200, &json!("3.1.0")));
    let mut all = Vec::new();
    for (path, methods) in document.body["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let security = operation["security"].as_array().unwrap();
            let parameters = operation["parameters"].as_array().unwrap();
            let shared = parameters.iter().filter_map(|one| one["$ref"].as_str()?.rsplit('/').next());
            all.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.strip_prefix("/admin/api").unwrap().to_owned(),
                scope: security.first().and_then(|one| one["token"][0].as_str()).map(str::to_owned),
                is_open: security.is_empty(),
                shared: shared.map(str::to_owned).collect(),
            });
        }
    }
    assert!(all.len() > 15, "the test reads what it thinks it reads");
    all
}

/// An address and a body by which this operation changes something, each time that it is called.
async fn example(program: &Program<'_>, id: &str) -> (String, Value) {
    let number = program.audited().0;
    let key = async || {
        let made = program.post("/keys", json!({"name": "example"})).await;
        format!("/keys/{}", made.text("id"))
    };
    let plan = async || {
        let path = format!("/plans/example-{number}");
        assert_eq!(program.put(&path, json!({})).await.status, 201);
        path
    };
    let operator = async || {
        let made = program.post("/operators", json!({"name": format!("example-{number}"), "role": "auditor"})).await;
        format!("/operators/{}", made.text("name"))
    };
    let external = format!("/keys/external/example-{number}");
    match id {
        "putPlan" => (plan().await, json!({"concurrent": 1})),
        "removePlan" => (plan().await, Value::Null),
        "attachPlan" => (plan().await + "/attach", json!({"member": "li"})),
        "detachPlan" => {
            let path = plan().await;
            assert_eq!(program.post(&format!("{path}/attach"), json!({"company": true})).await.status, 200);
            (path + "/detach", json!({"company": true}))
        }
        "grant" => ("/grants".to_owned(), json!({"for": {"member": "li"}, "more": {"requests": 5}})),
        "revokeGrant" => {
            let made = program.post("/grants", json!({"for": {"company": true}, "more": {"requests": 5}})).await;
            (format!("/grants/{}", made.body["id"]), Value::Null)
        }
        "changeMember" => {
            assert_eq!(program.patch("/members/Li", json!({"role": "auditor"})).await.status / 100, 2);
            ("/members/li".to_owned(), json!({"note": format!("note {number}")}))
        }
        "setHours" => ("/departments/0/hours".to_owned(), json!({"hours": "Mon-Fri 08:00-20:00"})),
        "makeKey" => ("/keys".to_owned(), json!({"name": format!("made-{number}")})),
        "rotateKey" => (key().await + "/rotate", json!({"grace_hours": 1})),
        "revokeKey" => (key().await, Value::Null),
        "putExternalKey" => (external, json!({"name": "example"})),
        "revokeExternalKey" => {
            assert_eq!(program.put(&external, json!({"name": "example"})).await.status, 201);
            (external, Value::Null)
        }
        "putSecret" | "removeSecret" => {
            let path = format!("/secrets/{}", if id == "putSecret" { "voice.speech_key" } else { "images.api_key" });
            assert_eq!(program.put(&path, json!({"value": "sk-1"})).await.status, 201);
            (path, if id == "putSecret" { json!({"value": "sk-2"}) } else { Value::Null })
        }
        "createOperator" => ("/operators".to_owned(), json!({"name": format!("new-{number}"), "role": "auditor"})),
        "resetOperator" => (operator().await + "/reset", Value::Null),
        "disableOperator" => (operator().await + "/disable", Value::Null),
        "enableOperator" => {
            let path = operator().await;
            assert_eq!(program.post(&format!("{path}/disable"), Value::Null).await.status, 200);
            (path + "/enable", Value::Null)
        }
        "makeToken" => (operator().await + "/tokens", json!({"label": "example", "scopes": ["read"]})),
        "revokeToken" => {
            let path = operator().await + "/tokens";
            let made = program.post(&path, json!({"label": "example", "scopes": ["read"]})).await;
            (format!("{path}/{}", made.text("id")), Value::Null)
        }
        other => panic!("give {other} an example here"),
    }
}

#[tokio::test]
async fn every_address_of_the_document_is_there_and_is_for_operators() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    for Operation { id, method, path, is_open, .. } in operations(&owner).await {
        let path = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>();
        let asked = scene.request(method.clone(), &path.join("/"));
        let nobody = answer(asked).await;
        let expected = if is_open { (415, "not-json") } else { (401, "unauthenticated") };
        assert_eq!((nobody.status, nobody.problem()), expected, "{id}");
        let curious = owner.ask(method, &format!("{}?unheard-of=1", path.join("/")), &Value::Null, &[]).await;
        if !is_open {
            assert_eq!(curious.status, 422, "{id}: {:#}", curious.body);
            assert_eq!(curious.body["errors"][0]["parameter"], "unheard-of", "{id}");
        }
    }
}

#[tokio::test]
async fn who_only_looks_changes_nothing_anywhere() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    let auditor = Program::of(&scene, "wang", Role::Auditor).await;
    let browser = scene.browser("wang").await;
    let before = owner.audited().0;
    let mut seen = 0;
    for operation in operations(&owner).await.iter().filter(|operation| operation.scope.is_some()) {
        let (id, path) = (&operation.id, operation.anywhere());
        let by_token = auditor.ask(operation.method.clone(), &path, &json!({}), &[]).await;
        let by_page = scene.of_page(operation.method.clone(), &path, &browser).json(&json!({}));
        for refused in [by_token, answer(by_page).await] {
            let is_refused = (refused.status, refused.problem()) == (403, "missing-scope");
            assert_eq!(is_refused, !operation.is_safe(), "{id}: {:#}", refused.body);
        }
        assert_eq!(operation.is_safe(), operation.scope.as_deref() == Some("read"), "{id}: `read` only looks");
        seen += usize::from(!operation.is_safe());
    }
    assert!(seen > 8, "the test reads what it thinks it reads");
    assert_eq!(owner.audited().0, before, "nothing was changed");
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_is_made_once_and_of_what_was_seen() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    let me = format!("operator/li/{}", owner.token_id());
    let changes = |operation: &Operation| !operation.is_safe() && operation.scope.is_some();
    for operation in operations(&owner).await.into_iter().filter(changes) {
        let id = &operation.id;
        let ask = async |path: &str, body: &Value, headers: &[(&str, &str)]| -> Answer {
            owner.ask(operation.method.clone(), path, body, headers).await
        };
        let (path, body) = example(&owner, id).await;
        let before = owner.audited().0;
        // Nothing is what it was seen as, and a header that is not looked at is not passed over.
        let stale = ask(&path, &body, &[("if-match", "\"0000000000000000-0000000000000000\"")]).await;
        let expected = if operation.takes("IfMatch") { 412 } else { 400 };
        assert_eq!(stale.status, expected, "{id}: {:#}", stale.body);
        assert_eq!(owner.audited().0, before, "{id}: nothing was changed");

        let seen = if operation.takes("IfMatch") { owner.get(&path).await.etag().to_owned() } else { String::new() };
        let mut headers = vec![("idempotency-key", id.as_str())];
        headers.extend((!seen.is_empty()).then_some(("if-match", seen.as_str())));
        let done = ask(&path, &body, &headers).await;
        assert!((200..300).contains(&done.status), "{id}: {} {:#}", done.status, done.body);
        assert_eq!(owner.audited(), (before + 1, me.clone()), "{id}: in the audit log, by whom");
        if operation.takes("IdempotencyKey") {
            let again = ask(&path, &body, &headers).await;
            assert_eq!((again.header("idempotency-replayed"), owner.audited().0), ("true", before + 1), "{id}");
            assert!(again.status < 300, "{id}: {:#}", again.body);
            let mut without = done.body.clone();
            for secret in ["key", "code", "token"] {
                without.as_object_mut().unwrap().remove(secret);
            }
            assert_eq!((again.body, again.headers.get("etag")), (without, done.headers.get("etag")), "{id}");
            let other = ask(&path, &json!({"other": 1}), &headers).await;
            assert_eq!((other.status, other.problem()), (422, "key-reused"), "{id}");
        }
    }
}
