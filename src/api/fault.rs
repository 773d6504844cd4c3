//! Why a program is not answered, by what it can do about it.

use std::{net::IpAddr, time::Duration};

use crate::{
    llm::{error::Error, relay::body::InvalidBody},
    meter::allowances::Refusal,
    model::{
        key::{Endpoint, Standing},
        person::Denied,
        quota::{book::Exceeded, plan::Right, subject::Subject},
    },
};

/// Why nothing was asked, or nothing came of it.
#[derive(Debug)]
pub enum Refused {
    /// What was brought cannot be a key.
    Malformed,
    /// Nobody has such a key.
    Unknown,
    /// It was one.
    NoLongerGood(Standing),
    /// It is not for who calls from there.
    Address(IpAddr),
    /// The member whose key it is may ask nothing at the moment.
    Owner,
    /// The key is not for this.
    Endpoint(Endpoint),
    /// There is no such model, or none that this key may ask.
    Model(String),
    /// No model is set for it, by this setting.
    NotSet(&'static str),
    /// The body is no request.
    Body(InvalidBody),
    /// A limit has no room for it.
    Limit(Box<Exceeded>),
    /// As many calls as somebody may have at once are under way.
    Busy {
        /// Who.
        subject: Subject,
        /// How many.
        concurrent: u32,
    },
    /// A plan is without this.
    Right {
        /// Whose plan.
        subject: Subject,
        /// What.
        right: Right,
    },
    /// The rules of the house refuse it, or an upstream's.
    Withheld,
    /// The model did not answer.
    Fault(Fault),
    /// Something of ours cannot be used at the moment.
    Unavailable,
}

/// Why a model did not answer, or not to the end. Nothing in it shows where the upstream is, or its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The messages are longer than the model's context.
    TooLong,
    /// The upstream refuses the request.
    Rejected {
        /// The HTTP status, a 4xx.
        status: u16,
        /// What it said.
        message: String,
    },
    /// It is asked too often.
    RateLimited {
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It did not answer in time.
    TooLate,
    /// It failed, or only an administrator can mend what is wrong.
    Failed,
    /// The key was taken back, or the service is stopping, while it answered.
    Cut,
}

impl Refused {
    /// A word that never changes, for the log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed_key",
            Self::Unknown => "unknown_key",
            Self::NoLongerGood(standing) => standing.as_str(),
            Self::Address(_) => "address",
            Self::Owner => "owner",
            Self::Endpoint(_) => "endpoint",
            Self::Model(_) => "model",
            Self::NotSet(_) => "not_set",
            Self::Body(_) => "body",
            Self::Limit(_) => "limit",
            Self::Busy { .. } => "busy",
            Self::Right { .. } => "right",
            Self::Withheld => "withheld",
            Self::Fault(_) => "upstream",
            Self::Unavailable => "unavailable",
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Limit(exceeded) => Self::Limit(exceeded),
            Refusal::Busy { subject, concurrent } => Self::Busy { subject, concurrent },
            Refusal::Model { alias, .. } | Refusal::Denied { why: Denied::Premium { .. }, alias: Some(alias) } => {
                Self::Model(alias.to_string())
            }
            Refusal::Denied { .. } => Self::Owner,
            Refusal::Right { subject, right } => Self::Right { subject, right },
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error {
            Error::Withheld | Error::ContentFiltered => Self::Withheld,
            other => Self::Fault(Fault::from(other)),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::TooLong => Self::TooLong,
            Error::Rejected { status: status @ (400..=499 | 501), message } => Self::Rejected { status, message },
            Error::RateLimited { retry_after } => Self::RateLimited { retry_after },
            Error::FirstDeltaTimeout | Error::GapTimeout | Error::AnswerTimeout => Self::TooLate,
            _ => Self::Failed,
        }
    }
}
