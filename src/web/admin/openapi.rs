//! The OpenAPI document, made of the routes: `GET /admin/api/openapi.json`, and `docs/openapi.json`.
//!
//! It is made anew each time that it is asked for, so nothing of it is in memory otherwise.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    answer::One,
    ask::{Ask, MOST_ON_A_PAGE, PAGE},
    problem::{self, Problem},
    route::{Answer, Needs, Route, schema_of},
    routes,
};

/// Where the shapes of things are described.
const SCHEMAS: &str = "/components/schemas";

/// An OpenAPI document.
#[derive(Debug, serde::Serialize, JsonSchema)]
#[serde(transparent)]
struct Document(Map<String, Value>);

pub(super) fn own_routes() -> Vec<Route> {
    let says = "This document. It is the same for everybody who may ask for it.";
    vec![Route::get("/admin/api/openapi.json", Needs::Login, ("getOpenApi", says), served)]
}

async fn served(_: Ask) -> Result<One<Document>, Problem> {
    let Value::Object(document) = document() else { return Err(Problem::internal()) };
    Ok(One::unversioned(Document(document)))
}

/// The whole document.
pub fn document() -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = SCHEMAS.into();
            settings.meta_schema = None;
        })
    };
    let mut taken = settings().for_deserialize().into_generator();
    let mut given = settings().for_serialize().into_generator();
    let problem = schema_of::<problem::Shown>(&mut given);
    let mut paths: Map<String, Value> = Map::new();
    for route in routes() {
        let operation = operation(&route, &mut taken, &mut given);
        let methods = paths.entry(route.path).or_insert_with(|| Map::new().into());
        methods[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let mut schemas = taken.take_definitions(true);
    schemas.extend(given.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Qimate administration", "version": env!("CARGO_PKG_VERSION"),
            "summary": "What commands do on the server, for operators and their programs.",
            "description": "There as soon as there is an operator (`qimate operator create`). Described in \
                            docs/administration.md.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas, "parameters": parameters(), "headers": headers(),
            "responses": { "Problem": {
                "description": "why not, and what would be right",
                "content": { "application/problem+json": { "schema": problem } },
            } },
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "`qmo_...`, of an operator's program" },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": super::guard::COOKIE,
                    "description": "Of a browser. What changes something also brings `X-CSRF-Token` (`getMe`) and an \
                                    `Origin` of our own.",
                },
            },
        },
    })
}

fn operation(route: &Route, taken: &mut SchemaGenerator, given: &mut SchemaGenerator) -> Value {
    let scopes: Vec<&str> = match route.needs {
        Needs::Scope(scope) => vec![scope.as_str()],
        Needs::Nobody | Needs::Login => Vec::new(),
    };
    let security = match route.needs {
        Needs::Nobody => json!([]),
        Needs::Login | Needs::Scope(_) => json!([{ "token": scopes }, { "session": scopes }]),
    };
    let (summary, more) = route.says.split_once(". ").unwrap_or((route.says.trim_end_matches('.'), ""));
    let resource = route.path.trim_start_matches("/admin/api/").split('/').next().unwrap_or_default();
    let mut operation = json!({
        "operationId": route.id, "summary": summary, "tags": [resource], "security": security,
        "parameters": asked_with(route), "responses": responses(route, given),
    });
    if !more.is_empty() {
        operation["description"] = more.into();
    }
    if let Some(schema) = route.takes {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema(taken) } } });
    }
    operation
}

fn asked_with(route: &Route) -> Vec<Value> {
    let shared = |name: &str| json!({ "$ref": format!("#/components/parameters/{name}") });
    let places = route.path.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let mut all: Vec<Value> = places
        .map(|(name, _)| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let filter = |(name, says): &(&str, &str)| json!({ "name": name, "in": "query", "description": says, "schema": { "type": "string" } });
    all.extend(route.filters.iter().map(filter));
    if route.is_page {
        all.extend(["Limit", "Cursor"].map(shared));
    }
    if route.method.is_safe() {
        all.push(shared("IfNoneMatch"));
    }
    if route.compares {
        all.extend(["IfMatch", "IfNoneMatchAny"].map(shared));
    }
    if route.is_once() {
        all.push(shared("IdempotencyKey"));
    }
    all
}

fn responses(route: &Route, given: &mut SchemaGenerator) -> Value {
    let mut all = Map::new();
    for Answer { status, says, schema, headers } in &route.answers {
        let mut answer = json!({ "description": says });
        if let Some(schema) = schema {
            answer["content"] = json!({ "application/json": { "schema": schema(given) } });
        }
        for header in *headers {
            let name = header.replace('-', "");
            answer["headers"][*header] = json!({ "$ref": format!("#/components/headers/{name}") });
        }
        all.insert(status.to_string(), answer);
    }
    if route.method.is_safe() {
        all.insert("304".to_owned(), json!({ "description": "as `If-None-Match` says" }));
    }
    let mut problems = vec!["default", "401"];
    problems.extend(matches!(route.needs, Needs::Scope(_)).then_some("403"));
    problems.extend(route.path.contains('{').then_some("404"));
    problems.extend(route.compares.then_some("412"));
    problems.extend(route.must_compare.then_some("428"));
    problems.extend(route.is_once().then_some("409"));
    problems.extend((route.takes.is_some() || !route.parameters().is_empty()).then_some("422"));
    for status in problems {
        all.insert(status.to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
    }
    all.into()
}

fn parameters() -> Value {
    let header = |name: &str, says: &str| json!({ "name": name, "in": "header", "description": says, "schema": { "type": "string" } });
    json!({
        "Limit": {
            "name": "limit", "in": "query", "description": "how many on a page",
            "schema": { "type": "integer", "minimum": 1, "maximum": MOST_ON_A_PAGE, "default": PAGE },
        },
        "Cursor": {
            "name": "cursor", "in": "query", "schema": { "type": "string" },
            "description": "`next` of the page before; without it, the list begins",
        },
        "IfNoneMatch": header("If-None-Match", "an ETag of before: 304 where the answer is still the same"),
        "IfNoneMatchAny": header("If-None-Match", "`*`: only where there is none yet; 412 otherwise"),
        "IfMatch": header("If-Match", "the ETag of what was seen: 412 where it is another meanwhile; `*`: whatever is there"),
        "IdempotencyKey": header(
            "Idempotency-Key",
            "1 to 255 characters, such as a UUID: for 24 hours the same request of the same operator is carried out once \
             and answered alike; 422 where it came with another request, 409 while it is under way",
        ),
    })
}

fn headers() -> Value {
    let header = |says: &str| json!({ "description": says, "schema": { "type": "string" } });
    json!({
        "ETag": header("what it is at this moment, for If-Match and If-None-Match"),
        "Location": header("where it is"),
    })
}
