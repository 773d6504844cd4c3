//! Operators, tokens and what is known of secrets in JSON, the same from commands and over HTTP. Never a secret, nor a hash of one.

use serde_json::{Value, json};

use crate::{
    clock::Timestamp,
    model::operator::{Account, Scopes, Token},
    store::secrets::StoredSecret,
};

/// The words for what somebody may.
pub fn scopes(scopes: &Scopes) -> Vec<&'static str> {
    scopes.iter().map(|scope| scope.as_str()).collect()
}

/// An operator.
pub fn account(account: &Account, now: Timestamp) -> Value {
    json!({
        "name": account.name.as_str(), "role": account.role.as_str(), "state": account.state(now),
        "scopes": scopes(&account.role.scopes()), "created_ms": account.created_at.as_millis(),
        "password_set_ms": millis(account.password_set_at),
        "code_until_ms": millis(account.invitation.as_ref().map(|open| open.until)),
        "last_login_ms": millis(account.last_login_at), "disabled_ms": millis(account.disabled_at),
    })
}

/// A token.
pub fn token(token: &Token, now: Timestamp) -> Value {
    json!({
        "id": token.id.as_str(), "label": token.label, "state": token.standing(now).as_str(),
        "scopes": scopes(&token.scopes), "created_ms": token.created_at.as_millis(),
        "expires_ms": millis(token.expires_at), "last_used_ms": millis(token.last_used_at),
        "revoked_ms": millis(token.revoked_at),
    })
}

/// A secret that is stored, without its value.
pub fn secret(secret: &StoredSecret) -> Value {
    json!({
        "name": secret.name, "set_ms": secret.set_at.as_millis(), "set_by": secret.set_by, "key": secret.key,
        "master_key": secret.master.map(|id| id.to_string()),
    })
}

fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_millis)
}
