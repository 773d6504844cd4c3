//! Plans.

use std::{collections::BTreeSet, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::quota::plan::{self, AtLimit, InvalidLimit, Limit, MOST_LIMITS, Right};

/// What a plan is to be. What is left out bounds nothing.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WantedPlan {
    /// Such as `requests=50/day`, `tokens=200k/week` or `money=20/month`; each must have room.
    pub limits: Vec<String>,
    /// Answers at once; `null`: any number.
    pub concurrent: Option<u32>,
    /// The aliases of models that may be used; `null`: all.
    pub models: Option<Vec<String>>,
    /// What may not be used beside words: `pictures`, `voice`, `drawing`, `speech`, `tools`, `keys`.
    pub without: Vec<String>,
    /// The alias of the model that answers beyond the limits; `null`: none does.
    pub then: Option<String>,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongPlan {
    /// More limits than a plan has.
    #[error("at most {MOST_LIMITS} limits in a plan")]
    TooManyLimits,
    /// A text that is no limit.
    #[error("{why}")]
    Limit {
        /// Its place.
        at: usize,
        /// Why.
        why: InvalidLimit,
    },
    /// The same measure over the same time again.
    #[error("this is limited already; give one limit of a measure over a time")]
    Twice {
        /// Its place.
        at: usize,
    },
    /// No model has this alias.
    #[error("there is no model {alias}; there are {}", known.join(", "))]
    Model {
        /// Its place in the list; `None`: it is the one that answers beyond the limits.
        at: Option<usize>,
        /// The alias.
        alias: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A list of models without one.
    #[error("name a model, or leave the list out for all of them")]
    NoModel,
    /// Nothing that a plan can be without.
    #[error("expected some of {}", Right::ALL.map(Right::as_str).join(", "))]
    Right {
        /// Its place.
        at: usize,
    },
}

impl WrongPlan {
    /// Which part of what is wanted is meant, as a JSON pointer.
    pub fn pointer(&self) -> String {
        match self {
            Self::TooManyLimits => "/limits".to_owned(),
            Self::Limit { at, .. } | Self::Twice { at } => format!("/limits/{at}"),
            Self::Model { at: Some(at), .. } => format!("/models/{at}"),
            Self::Model { at: None, .. } => "/then".to_owned(),
            Self::NoModel => "/models".to_owned(),
            Self::Right { at } => format!("/without/{at}"),
        }
    }
}

impl WantedPlan {
    /// The plan, where models of these aliases are known.
    ///
    /// # Errors
    /// [`WrongPlan`], which says what would be right.
    pub fn parse(&self, known: &BTreeSet<Arc<str>>) -> Result<plan::Plan, WrongPlan> {
        if self.limits.len() > MOST_LIMITS {
            return Err(WrongPlan::TooManyLimits);
        }
        let mut limits: Vec<Limit> = Vec::new();
        for (at, text) in self.limits.iter().enumerate() {
            let limit = Limit::parse(text).map_err(|why| WrongPlan::Limit { at, why })?;
            if limits.iter().any(|other| (other.measure, other.window) == (limit.measure, limit.window)) {
                return Err(WrongPlan::Twice { at });
            }
            limits.push(limit);
        }
        let models = self.models.as_deref();
        let listed = models.unwrap_or_default().iter().enumerate().map(|(at, alias)| (Some(at), alias));
        for (at, alias) in listed.chain(self.then.iter().map(|alias| (None, alias))) {
            if !known.contains(alias.as_str()) {
                let known = known.iter().map(|alias| alias.to_string()).collect();
                return Err(WrongPlan::Model { at, alias: alias.clone(), known });
            }
        }
        if models.is_some_and(<[String]>::is_empty) {
            return Err(WrongPlan::NoModel);
        }
        let right = |(at, word): (usize, &String)| Right::parse(word).ok_or(WrongPlan::Right { at });
        Ok(plan::Plan {
            limits,
            concurrent: self.concurrent,
            models: models.map(|models| models.iter().cloned().collect()),
            without: self.without.iter().enumerate().map(right).collect::<Result<_, _>>()?,
            at_limit: self.then.clone().map_or(AtLimit::Refuse, AtLimit::Model),
        })
    }
}

/// A plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Plan {
    /// By which it is known.
    pub name: String,
    /// Such as `requests=50/day`; each must have room.
    pub limits: Vec<String>,
    /// Answers at once; `null`: any number.
    pub concurrent: Option<u32>,
    /// The aliases of models that may be used; `null`: all.
    pub models: Option<BTreeSet<String>>,
    /// What may not be used beside words.
    pub without: BTreeSet<Right>,
    /// The alias of the model that answers beyond the limits; `null`: none does.
    pub then: Option<String>,
    /// Who has it: `member` (each without a plan of their own), `member/CORP/USERID`, `department/CORP/NUMBER`,
    /// `company/CORP`, `key/CORP/ID`.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub holders: Option<Vec<String>>,
}

impl Plan {
    /// A plan of this name; who has it is not told.
    pub fn of(name: &str, plan: &plan::Plan) -> Self {
        Self {
            name: name.to_owned(),
            limits: plan.limits.iter().map(Limit::to_string).collect(),
            concurrent: plan.concurrent,
            models: plan.models.clone(),
            without: plan.without.clone(),
            then: match &plan.at_limit {
                AtLimit::Model(alias) => Some(alias.clone()),
                AtLimit::Refuse => None,
            },
            holders: None,
        }
    }

    /// With who has it, of all that is attached: the holder's key and the plan's name.
    #[must_use]
    pub fn held(mut self, attachments: &[(&str, &str)]) -> Self {
        let holders = attachments.iter().filter(|(_, plan)| *plan == self.name).map(|(holder, _)| (*holder).to_owned());
        self.holders = Some(holders.collect());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_may_be_wanted_and_each_mistake_has_its_place() {
        let known: BTreeSet<Arc<str>> = ["a".into(), "b".into()].into();
        let wanted = |json: &str| serde_json::from_str::<WantedPlan>(json).expect("json").parse(&known);
        let json =
            r#"{"limits": ["requests=5/day"], "concurrent": 2, "models": ["a"], "without": ["voice"], "then": "b"}"#;
        let plan = wanted(json).expect("a plan");
        let shown = serde_json::to_value(Plan::of("x", &plan)).expect("json");
        assert_eq!(
            shown,
            serde_json::json!({
                "name": "x", "limits": ["requests=5/day"], "concurrent": 2, "models": ["a"], "without": ["voice"],
                "then": "b",
            })
        );
        assert_eq!(wanted("{}"), Ok(plan::Plan::default()));
        for (json, pointer) in [
            (r#"{"limits": ["requests=5/day", "x"]}"#, "/limits/1"),
            (r#"{"limits": ["requests=5/day", "requests=6/day"]}"#, "/limits/1"),
            (r#"{"models": ["a", "c"]}"#, "/models/1"),
            (r#"{"models": []}"#, "/models"),
            (r#"{"then": "c"}"#, "/then"),
            (r#"{"without": ["words"]}"#, "/without/0"),
        ] {
            assert_eq!(wanted(json).map_err(|wrong| wrong.pointer()), Err(pointer.to_owned()), "{json}");
        }
    }
}
