//! API keys.

use std::{collections::BTreeSet, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    model::{
        id::{InvalidId, MemberId},
        key::{ApiKey, Endpoint, LONGEST_NAME, Owner, Scope, is_name},
        network::{InvalidNetwork, Network},
    },
};

/// What a key is to be. What is left out bounds nothing.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedKey {
    /// What people call it: 1 to 64 characters.
    pub name: String,
    /// The userid of who asks by it; `null`: a program of the company. It cannot be changed later.
    #[serde(default)]
    pub member: Option<String>,
    /// The aliases of models that may be asked for; `null`: all.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// What may be asked: `chat`, `responses`, `embeddings`, `images`, `speech`, `transcriptions`, `models`; `null`: all.
    #[serde(default)]
    pub endpoints: Option<Vec<String>>,
    /// From where it may be asked, such as `10.0.0.0/8`; none: from everywhere.
    #[serde(default)]
    pub networks: Vec<String>,
    /// From when on it is refused; `null`: never.
    #[serde(default)]
    pub expires_ms: Option<i64>,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongKey {
    /// No name.
    #[error("a name has 1 to {LONGEST_NAME} characters")]
    Name,
    /// No userid.
    #[error(transparent)]
    Member(InvalidId),
    /// No model has this alias.
    #[error("there is no model {alias}; there are {}", known.join(", "))]
    Model {
        /// Its place.
        at: usize,
        /// The alias.
        alias: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Nothing that can be asked.
    #[error("expected some of {}", Endpoint::ALL.map(Endpoint::as_str).join(", "))]
    Endpoint {
        /// Its place.
        at: usize,
    },
    /// A list without anything, by which nothing could be asked.
    #[error("name one, or leave the list out for all")]
    Nothing(&'static str),
    /// No network.
    #[error("{why}")]
    Network {
        /// Its place.
        at: usize,
        /// Why.
        why: InvalidNetwork,
    },
    /// It would be over at once.
    #[error("expected a time to come, in milliseconds since 1970; or null for never")]
    Over,
}

impl WrongKey {
    /// Which part of what is wanted is meant, as a JSON pointer.
    pub fn pointer(&self) -> String {
        match self {
            Self::Name => "/name".to_owned(),
            Self::Member(_) => "/member".to_owned(),
            Self::Model { at, .. } => format!("/models/{at}"),
            Self::Endpoint { at } => format!("/endpoints/{at}"),
            Self::Nothing(field) => format!("/{field}"),
            Self::Network { at, .. } => format!("/networks/{at}"),
            Self::Over => "/expires_ms".to_owned(),
        }
    }
}

/// A key that may be made.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What people call it.
    pub name: String,
    /// Who asks by it.
    pub owner: Owner,
    /// What it is good for.
    pub scope: Scope,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

impl WantedKey {
    /// The key, where models of these aliases are known.
    ///
    /// # Errors
    /// [`WrongKey`], which says what would be right.
    pub fn parse(&self, known: &BTreeSet<Arc<str>>, now: Timestamp) -> Result<Parsed, WrongKey> {
        let member = self.member.as_deref().map(MemberId::parse).transpose().map_err(WrongKey::Member)?;
        let expires_at = self.expires_ms.map(Timestamp::from_millis);
        if expires_at.is_some_and(|at| at <= now) {
            return Err(WrongKey::Over);
        }
        Ok(Parsed {
            name: name(&self.name)?.to_owned(),
            owner: member.map_or(Owner::Service, Owner::Member),
            scope: scope(self.models.as_deref(), self.endpoints.as_deref(), &self.networks, known)?,
            expires_at,
        })
    }
}

/// What may name a key, or be what another system calls it.
///
/// # Errors
/// [`WrongKey::Name`].
pub fn name(text: &str) -> Result<&str, WrongKey> {
    if is_name(text) { Ok(text) } else { Err(WrongKey::Name) }
}

/// What a key is good for; a list that is not there bounds nothing.
///
/// # Errors
/// [`WrongKey`], which says what would be right.
pub fn scope(
    models: Option<&[String]>,
    endpoints: Option<&[String]>,
    networks: &[String],
    known: &BTreeSet<Arc<str>>,
) -> Result<Scope, WrongKey> {
    for (field, list) in [("models", models), ("endpoints", endpoints)] {
        if list.is_some_and(<[String]>::is_empty) {
            return Err(WrongKey::Nothing(field));
        }
    }
    let alias = |(at, alias): (usize, &String)| {
        if known.contains(alias.as_str()) {
            return Ok(alias.clone());
        }
        let known = known.iter().map(|alias| alias.to_string()).collect();
        Err(WrongKey::Model { at, alias: alias.clone(), known })
    };
    let endpoint = |(at, word): (usize, &String)| {
        Endpoint::ALL.into_iter().find(|known| known.as_str() == word).ok_or(WrongKey::Endpoint { at })
    };
    let network = |(at, text): (usize, &String)| Network::parse(text).map_err(|why| WrongKey::Network { at, why });
    let models = models.map(|list| list.iter().enumerate().map(alias).collect::<Result<_, _>>());
    let endpoints = endpoints.map(|list| list.iter().enumerate().map(endpoint).collect::<Result<_, _>>());
    Ok(Scope {
        models: models.transpose()?,
        endpoints: endpoints.transpose()?,
        networks: networks.iter().enumerate().map(network).collect::<Result<_, _>>()?,
    })
}

/// An API key; never its secret.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Key {
    /// Names it and opens nothing.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The enterprise.
    pub corp: String,
    /// The userid of who asks by it; `null`: a program of the company.
    pub member: Option<String>,
    /// `good`, `expired` or `revoked`.
    pub state: &'static str,
    /// The aliases of models that may be asked for; `null`: all.
    pub models: Option<BTreeSet<String>>,
    /// What may be asked; `null`: all.
    pub endpoints: Option<BTreeSet<Endpoint>>,
    /// From where it may be asked; none: from everywhere.
    pub networks: Vec<String>,
    /// What another system calls it.
    pub external_id: Option<String>,
    /// Whether its member made it, by a link.
    pub self_made: bool,
    /// When it was made.
    pub created_ms: i64,
    /// From when on it is refused; `null`: never.
    pub expires_ms: Option<i64>,
    /// When it was used last, to a minute.
    pub last_used_ms: Option<i64>,
    /// Since when it is refused for good.
    pub revoked_ms: Option<i64>,
    /// Until when the secret of before is good beside the one of now.
    pub previous_until_ms: Option<i64>,
}

impl Key {
    /// A key at this moment.
    pub fn of(key: &ApiKey, now: Timestamp) -> Self {
        let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
        let Scope { models, endpoints, networks } = key.scope.clone();
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            corp: key.corp.to_string(),
            member: key.owner.member().map(MemberId::to_string),
            state: key.standing(now).as_str(),
            models,
            endpoints,
            networks: networks.iter().map(Network::to_string).collect(),
            external_id: key.external_id.clone(),
            self_made: key.self_made,
            created_ms: key.created_at.as_millis(),
            expires_ms: millis(key.expires_at),
            last_used_ms: millis(key.last_used_at),
            revoked_ms: millis(key.revoked_at),
            previous_until_ms: millis(key.previous.as_ref().map(|(_, until)| *until).filter(|until| *until > now)),
        }
    }
}

/// A key, and all of it where it is shown, this once.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct KeyWithText {
    /// What it is.
    #[serde(flatten)]
    pub is: Key,
    /// The whole key, as a program brings it. Nobody can show it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}
