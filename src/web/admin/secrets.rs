//! Secrets in the database: what `qimate secrets` does. Values go in and are never shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    answer::{One, Page, Saved},
    ask::Ask,
    body::Body,
    problem::Problem,
    route::Route,
};
use crate::{
    admin::shown,
    config::{Fault, SecretName, chat::Language},
    model::operator::Scope,
    secret::Secret,
    store::{
        secrets::{Removed, Set},
        terms::{Thing, Version},
    },
};

/// When a change is felt.
const NEXT_START: &str = "next start";

pub(super) fn routes() -> Vec<Route> {
    let all = "/admin/api/secrets";
    let one = "/admin/api/secrets/{name}";
    let list_says = "Every secret in the database, by the name of its setting. What is known of it, never the value.";
    let put_says = "Stores a value, encrypted. It is for a setting such as `wecom.secret`, `apps.NAME.secret` or \
                    `llm.upstreams.NAME.api_keys`, is never shown, and is used from the next start on, where the \
                    configuration does not set it. 409 without a master key.";
    let remove_says = "Takes a secret away. What runs uses it until its next start.";
    vec![
        Route::get(all, Scope::Read, ("listSecrets", list_says), list),
        Route::get(one, Scope::Read, ("getSecret", "What is known of a secret, never the value."), get),
        Route::put(one, Scope::Secrets, ("putSecret", put_says), put).must_compare(),
        Route::delete(one, Scope::Secrets, ("removeSecret", remove_says), remove).compares(),
    ]
}

async fn list(ask: Ask) -> Result<Page<shown::Secret>, Problem> {
    let paging = ask.paging("secrets")?;
    let found = ask.store().secrets().await?.into_iter();
    let found = found.filter(|secret| paging.after.as_ref().is_none_or(|after| secret.name > *after));
    Ok(paging.page(found, |secret| secret.name.clone(), |secret| shown::secret(&secret)))
}

async fn get(ask: Ask) -> Result<One<shown::Secret>, Problem> {
    let found = ask.store().secret(&name(&ask)?).await?.ok_or_else(no_such)?;
    Ok(One::of(shown::secret(&found), Version::of_secret(&found)))
}

/// What is stored.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewValue {
    /// The secret itself. Several keys of an upstream stand on lines of their own; headers are JSON.
    #[schemars(with = "String")]
    value: Secret<String>,
}

/// A secret as it was stored.
#[derive(Debug, Serialize, JsonSchema)]
struct SavedSecret {
    #[serde(flatten)]
    is: shown::Secret,
    /// From when on it is used: always `next start`.
    felt: &'static str,
}

async fn put(ask: Ask<Body<NewValue>>) -> Result<Saved<SavedSecret>, Problem> {
    let (name, Body(NewValue { value })) = (name(&ask)?, &ask.body);
    let Some(keys) = &ask.here.master_keys else {
        let detail = "there is no master key: set secrets.master_key to what `qimate secrets new-master-key` prints, and \
                      start Qimate again";
        return Err(Problem::conflict(detail));
    };
    name.check(value).map_err(|fault| Problem::invalid("/value", fault.sentence(Language::English)))?;
    let store = ask.on_seen(Thing::Secret(name.clone()));
    match store.set_secret(&ask.actor(), keys, &name, value, ask.now).await? {
        Ok(Set { is_new, secret }) => {
            let thing = SavedSecret { is: shown::secret(&secret), felt: NEXT_START };
            Ok(Saved { is_new, thing, version: Version::of_secret(&secret) })
        }
        Err(unreadable) => Err(Problem::conflict(Fault::from(&unreadable).told(Language::English))),
    }
}

/// That a secret was taken away.
#[derive(Debug, Serialize, JsonSchema)]
struct RemovedSecret {
    /// The setting that it was for.
    name: String,
    /// From when on it is not used: always `next start`.
    felt: &'static str,
}

async fn remove(ask: Ask) -> Result<One<RemovedSecret>, Problem> {
    let name = name(&ask)?;
    let text = name.to_string();
    match ask.on(Thing::Secret(name)).remove_secret(&ask.actor(), Some(&text), ask.now).await? {
        Removed { values: 0, .. } => Err(no_such()),
        Removed { .. } => Ok(One::unversioned(RemovedSecret { name: text, felt: NEXT_START })),
    }
}

fn name<T>(ask: &Ask<T>) -> Result<SecretName, Problem> {
    let parsed = SecretName::parse(ask.path("name")?);
    parsed.map_err(|fault| Problem::parameter("name", fault.sentence(Language::English)))
}

fn no_such() -> Problem {
    Problem::not_there("no secret of that name is stored; /admin/api/secrets shows which are")
}
