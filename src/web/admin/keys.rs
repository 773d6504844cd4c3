//! The keys by which programs ask: what `qimate key` does.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    answer::{Gone, One, Page, ShownOnce},
    ask::Ask,
    body::Body,
    problem::Problem,
    route::Route,
};
use crate::{
    model::{
        id::MemberId,
        json::key::{Key, KeyWithText, WantedKey, name},
        key::{ApiKey, KeyId},
        operator::Scope,
    },
    secret::Secret,
    store::{
        keys::{Made, NewKey, Revoked, Rotated},
        terms::{Thing, Version},
    },
};

/// The longest that a secret of before may stay good, in hours: as `qimate key rotate` has it.
const LONGEST_GRACE: u32 = 720;

pub(super) fn routes() -> Vec<Route> {
    let all = "/admin/api/keys";
    let one = "/admin/api/keys/{id}";
    let external = "/admin/api/keys/external/{external_id}";
    let make_says = "Makes a key. Its text is shown this once: whoever repeats the request with the same Idempotency-Key \
                     is answered 200 with the key as it was made, and without its text.";
    let rotate_says = "Draws a new secret. The one of before stays good for `grace_hours`. The text is shown this once, as \
                       with `makeKey`.";
    let put_says = "Makes the key that another system calls so, or changes its name, end, networks and what may be asked. \
                    201 with its text where it is new; 200 without it otherwise.";
    let revoke_says =
        "Takes a key back, for good. What is under way by it is cut. A plan that is attached to it goes too.";
    vec![
        Route::get(all, Scope::Read, ("listKeys", "Every key, oldest first. Those that are no longer good too."), list)
            .filter("member", "the keys of this userid alone"),
        Route::get(one, Scope::Read, ("getKey", "One key."), get),
        Route::post(all, Scope::Keys, ("makeKey", make_says), make).of_corp(),
        Route::post("/admin/api/keys/{id}/rotate", Scope::Keys, ("rotateKey", rotate_says), rotate).compares(),
        Route::delete(one, Scope::Keys, ("revokeKey", revoke_says), revoke).compares(),
        Route::get(external, Scope::Read, ("getExternalKey", "The key that another system calls so."), get_external)
            .of_corp(),
        Route::put(external, Scope::Keys, ("putExternalKey", put_says), put_external).of_corp().compares(),
        Route::delete(
            external,
            Scope::Keys,
            ("revokeExternalKey", "Takes the key back that another system calls so, for good. As `revokeKey` does."),
            revoke_external,
        )
        .of_corp()
        .compares(),
    ]
}

async fn list(ask: Ask) -> Result<Page<Key>, Problem> {
    let paging = ask.paging("keys")?;
    let member = ask.query("member").map(MemberId::parse).transpose();
    let member = member.map_err(|wrong| Problem::parameter("member", wrong.to_string()))?;
    let found = ask.store().keys_after(paging.after_number()?, paging.most(), member.as_ref()).await?;
    Ok(paging.page(found, |key| key.number.to_string(), |key| Key::of(&key, ask.now)))
}

async fn get(ask: Ask) -> Result<One<Key>, Problem> {
    let found = ask.store().key(&id(&ask)?).await?;
    Ok(shown(&ask, &found.ok_or_else(no_such)?))
}

async fn make(ask: Ask<Body<WantedKey>>) -> Result<ShownOnce<KeyWithText>, Problem> {
    let wanted = wanted(&ask, None)?;
    made(&ask, ask.anew().make_key(&ask.actor(), wanted, ask.now).await?)
}

/// How long the secret of before stays good.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Grace {
    /// For so many hours; 0: not at all; at most 720.
    grace_hours: u32,
}

async fn rotate(ask: Ask<Body<Grace>>) -> Result<ShownOnce<KeyWithText>, Problem> {
    let (id, hours) = (id(&ask)?, ask.body.0.grace_hours);
    if hours > LONGEST_GRACE {
        return Err(Problem::invalid("/grace_hours", format!("expected at most {LONGEST_GRACE} hours")));
    }
    let grace = Duration::from_secs(u64::from(hours) * 3600);
    match ask.on(Thing::Key(id.clone())).rotate_key(&ask.actor(), &id, grace, ask.now).await? {
        Rotated::Yes(key, text) => Ok(shown_once(&ask, &key, Some(&text), None)),
        Rotated::NotThere => Err(no_such()),
        Rotated::NoLongerGood(standing) => {
            Err(Problem::conflict(format!("key {id} is {}; make a new one", standing.as_str())))
        }
    }
}

async fn revoke(ask: Ask) -> Result<Gone, Problem> {
    let id = id(&ask)?;
    gone(ask.on(Thing::Key(id.clone())).revoke_key(&ask.actor(), &id, ask.now).await?)
}

async fn get_external(ask: Ask) -> Result<One<Key>, Problem> {
    let corp = ask.here.served.corp(ask.query("corp"))?;
    let found = ask.store().external_key(&corp, ask.path("external_id")?).await?;
    Ok(shown(&ask, &found.ok_or_else(no_such)?))
}

async fn put_external(ask: Ask<Body<WantedKey>>) -> Result<ShownOnce<KeyWithText>, Problem> {
    let external_id = ask.path("external_id")?;
    let wanted = wanted(&ask, Some(external_id))?;
    let store = ask.on(Thing::ExternalKey(wanted.corp.clone(), external_id.to_owned()));
    made(&ask, store.make_key(&ask.actor(), wanted, ask.now).await?)
}

async fn revoke_external(ask: Ask) -> Result<Gone, Problem> {
    let corp = ask.here.served.corp(ask.query("corp"))?;
    let external_id = ask.path("external_id")?;
    let store = ask.on(Thing::ExternalKey(corp.clone(), external_id.to_owned()));
    gone(store.revoke_external_key(&ask.actor(), &corp, external_id, ask.now).await?)
}

fn wanted(ask: &Ask<Body<WantedKey>>, external_id: Option<&str>) -> Result<NewKey, Problem> {
    if let Some(external_id) = external_id {
        name(external_id).map_err(|wrong| Problem::parameter("external_id", wrong.to_string()))?;
    }
    let parsed = ask.body.0.parse(&ask.here.served.models_of_keys, ask.now);
    let parsed = parsed.map_err(|wrong| Problem::invalid(&wrong.pointer(), wrong.to_string()))?;
    Ok(NewKey {
        corp: ask.here.served.corp(ask.query("corp"))?,
        owner: parsed.owner,
        name: parsed.name,
        scope: parsed.scope,
        external_id: external_id.map(str::to_owned),
        expires_at: parsed.expires_at,
    })
}

fn made<T>(ask: &Ask<T>, made: Made) -> Result<ShownOnce<KeyWithText>, Problem> {
    match made {
        Made::New(key, text) => {
            let location = format!("/admin/api/keys/{}", key.id);
            Ok(shown_once(ask, &key, Some(&text), Some(location)))
        }
        Made::Updated(key) => Ok(shown_once(ask, &key, None, None)),
        Made::OfAnother(key) => {
            let id = key.id;
            Err(Problem::conflict(format!(
                "that is what key {id} is called, whose owner cannot change; revoke it first"
            )))
        }
    }
}

fn shown_once<T>(
    ask: &Ask<T>,
    key: &ApiKey,
    text: Option<&Secret<String>>,
    location: Option<String>,
) -> ShownOnce<KeyWithText> {
    let without = KeyWithText { is: Key::of(key, ask.now), key: None };
    let thing = KeyWithText { key: text.map(|text| text.expose().clone()), ..without.clone() };
    ShownOnce { location, thing, without, version: Some(Version::of_key(key)) }
}

fn shown(ask: &Ask, key: &ApiKey) -> One<Key> {
    One::of(Key::of(key, ask.now), Version::of_key(key))
}

fn gone(revoked: Revoked) -> Result<Gone, Problem> {
    match revoked {
        Revoked::Yes | Revoked::Already => Ok(Gone),
        Revoked::NotThere => Err(no_such()),
    }
}

fn id<T>(ask: &Ask<T>) -> Result<KeyId, Problem> {
    KeyId::parse(ask.path("id")?).map_err(|_| no_such())
}

/// Not quoted: somebody may have given a whole key.
fn no_such() -> Problem {
    Problem::not_there("there is no such key; an id has 12 digits, as /admin/api/keys shows them")
}
