//! Who administers: what `qimate operator` does. Nobody gives by it what they may not do themselves: a token for operators
//! alone opens no way to the keys.

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
    admin::{
        Refused,
        shown::{self, Account, OperatorWithCode, Token, TokenWithText},
    },
    clock::Timestamp,
    model::{
        key::KeyId,
        operator::{self, LONGEST_LABEL, OperatorName, Role, Scope, Scopes},
    },
    secret::Secret,
    store::operators::{
        Changed, Created, Reset,
        tokens::{MadeToken, NewToken},
    },
};

/// How long a token is good where nothing else is said: as with `qimate operator token create`.
const TOKEN_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

pub(super) fn routes() -> Vec<Route> {
    let all = "/admin/api/operators";
    let one = "/admin/api/operators/{name}";
    let tokens = "/admin/api/operators/{name}/tokens";
    let create_says = "Makes an operator. The code by which they set their password is shown this once, and good for 30 \
                       minutes.";
    let reset_says = "The way back in. Takes the password and the second factor away, ends all sessions, and shows a new \
                      code, this once. Tokens stay.";
    let disable_says = "Shuts somebody out at once. Ends all sessions and revokes all tokens. Not for oneself.";
    let enable_says =
        "Lets them in again, with the password and the second factor of before. Tokens must be made anew.";
    let token_says = "Makes a token for a program. Shown this once. It may what it is made for, as far as the role of its \
                      operator does; whoever makes it needs all of that too.";
    vec![
        Route::get(
            all,
            Scope::Read,
            ("listOperators", "Every operator, oldest first. Those that are disabled too."),
            list,
        ),
        Route::post(all, Scope::Operators, ("createOperator", create_says), create),
        Route::get(one, Scope::Read, ("getOperator", "One operator."), get),
        Route::post("/admin/api/operators/{name}/reset", Scope::Operators, ("resetOperator", reset_says), reset),
        Route::post(
            "/admin/api/operators/{name}/disable",
            Scope::Operators,
            ("disableOperator", disable_says),
            disable,
        ),
        Route::post("/admin/api/operators/{name}/enable", Scope::Operators, ("enableOperator", enable_says), enable),
        Route::get(
            tokens,
            Scope::Read,
            ("listTokens", "An operator's tokens, oldest first. Never a secret."),
            list_tokens,
        ),
        Route::post(tokens, Scope::Operators, ("makeToken", token_says), make_token),
        Route::delete(
            "/admin/api/operators/{name}/tokens/{id}",
            Scope::Operators,
            ("revokeToken", "Takes a token back, for good."),
            revoke_token,
        ),
    ]
}

async fn list(ask: Ask) -> Result<Page<Account>, Problem> {
    let paging = ask.paging("operators")?;
    let after = paging.after_number()?;
    let found = ask.store().operators().await?.into_iter().filter(|one| one.number > after);
    Ok(paging.page(found, |one| one.number.to_string(), |one| shown(&ask, &one)))
}

async fn get(ask: Ask) -> Result<One<Account>, Problem> {
    Ok(One::unversioned(shown(&ask, &found(&ask).await?)))
}

/// Who is to administer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewOperator {
    /// By which they log in: 2 to 64 letters, digits and `. _ - @`.
    name: String,
    /// `owner`, `operator` or `auditor`.
    role: String,
}

async fn create(ask: Ask<Body<NewOperator>>) -> Result<ShownOnce<OperatorWithCode>, Problem> {
    let Body(NewOperator { name, role }) = &ask.body;
    let name = OperatorName::parse(name).map_err(|wrong| Problem::invalid("/name", wrong.to_string()))?;
    let known = || Role::ALL.map(Role::as_str).join(", ");
    let role = Role::parse(role).ok_or_else(|| Problem::invalid("/role", format!("expected one of {}", known())))?;
    has_all(&ask, &role.scopes())?;
    can_enrol(&ask)?;
    match ask.anew().create_operator(&ask.actor(), &name, role, ask.now).await? {
        Created::New(account, code) => Ok(with_code(&ask, &account, &code, true)),
        Created::There(account) => {
            Err(Problem::conflict(format!("there is an operator {} already; reset is for who forgot", account.name)))
        }
    }
}

async fn reset(ask: Ask) -> Result<ShownOnce<OperatorWithCode>, Problem> {
    let account = found(&ask).await?;
    has_all(&ask, &account.role.scopes())?;
    can_enrol(&ask)?;
    match ask.anew().reset_operator(&ask.actor(), &account.name, ask.now).await? {
        Reset::Yes(account, code) => Ok(with_code(&ask, &account, &code, false)),
        Reset::Disabled => Err(Problem::conflict(format!("operator {} is disabled; enable comes first", account.name))),
        Reset::NotThere => Err(no_such()),
    }
}

async fn disable(ask: Ask) -> Result<One<Account>, Problem> {
    let account = found(&ask).await?;
    if account.number == ask.operator.number {
        return Err(Problem::conflict(
            "nobody shuts themselves out; another operator can, or `qimate operator disable`",
        ));
    }
    changed(&ask, ask.anew().disable_operator(&ask.actor(), &account.name, ask.now).await?).await
}

async fn enable(ask: Ask) -> Result<One<Account>, Problem> {
    let account = found(&ask).await?;
    changed(&ask, ask.anew().enable_operator(&ask.actor(), &account.name, ask.now).await?).await
}

async fn changed(ask: &Ask, changed: Changed) -> Result<One<Account>, Problem> {
    match changed {
        Changed::Yes | Changed::Already => Ok(One::unversioned(shown(ask, &found(ask).await?))),
        Changed::NotThere => Err(no_such()),
    }
}

async fn list_tokens(ask: Ask) -> Result<Page<Token>, Problem> {
    let paging = ask.paging("tokens")?;
    let after = paging.after_number()?;
    let tokens = ask.store().tokens_of(found(&ask).await?.number).await?;
    let tokens = tokens.into_iter().filter(|token| token.number > after);
    Ok(paging.page(tokens, |token| token.number.to_string(), |token| shown::token(&token, ask.now)))
}

/// What a token is to be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WantedToken {
    /// What people call it: at most 64 characters.
    label: String,
    /// What it may: some of `read`, `people`, `plans`, `keys`, `operators`.
    scopes: Vec<String>,
    /// From when on it is refused; `null`: after 90 days.
    #[serde(default)]
    expires_ms: Option<i64>,
    /// `true`: it has no end.
    #[serde(default)]
    never_expires: bool,
}

async fn make_token(ask: Ask<Body<WantedToken>>) -> Result<ShownOnce<TokenWithText>, Problem> {
    let Body(wanted) = &ask.body;
    if wanted.label.chars().count() > LONGEST_LABEL || wanted.label.chars().any(char::is_control) {
        return Err(Problem::invalid("/label", format!("expected at most {LONGEST_LABEL} characters")));
    }
    let known = || Scope::ALL.map(Scope::as_str).join(", ");
    let scope = |(at, word): (usize, &String)| {
        Scope::parse(word)
            .ok_or_else(|| Problem::invalid(&format!("/scopes/{at}"), format!("expected some of {}", known())))
    };
    let scopes = wanted.scopes.iter().enumerate().map(scope).collect::<Result<Scopes, _>>()?;
    if scopes.is_empty() {
        return Err(Problem::invalid("/scopes", format!("expected some of {}", known())));
    }
    has_all(&ask, &scopes)?;
    let expires_at = match (wanted.expires_ms.map(Timestamp::from_millis), wanted.never_expires) {
        (None, true) => None,
        (None, false) => Some(ask.now + TOKEN_LIFE),
        (Some(at), false) if at > ask.now => Some(at),
        _ => return Err(Problem::invalid("/expires_ms", "expected a time to come, or never_expires; not both")),
    };
    let operator = found(&ask).await?.name;
    let wanted = NewToken { operator: operator.clone(), label: wanted.label.clone(), scopes, expires_at };
    match ask.anew().make_token(&ask.actor(), wanted, ask.now).await? {
        MadeToken::New(token, text) => {
            let without = TokenWithText { is: shown::token(&token, ask.now), token: None };
            let thing = TokenWithText { token: Some(text.expose().clone()), ..without.clone() };
            let location = Some(format!("/admin/api/operators/{operator}/tokens"));
            Ok(ShownOnce { location, thing, without, version: None })
        }
        MadeToken::Beyond(scope) => {
            Err(Problem::invalid("/scopes", format!("the role of {operator} does not have '{}'", scope.as_str())))
        }
        MadeToken::Disabled => Err(Problem::conflict(format!("operator {operator} is disabled; enable comes first"))),
        MadeToken::NotThere => Err(no_such()),
    }
}

async fn revoke_token(ask: Ask) -> Result<Gone, Problem> {
    let no_token = || Problem::not_there("this operator has no such token");
    let id = KeyId::parse(ask.path("id")?).map_err(|_| no_token())?;
    let theirs = ask.store().tokens_of(found(&ask).await?.number).await?;
    if theirs.iter().all(|token| token.id != id) {
        return Err(no_token());
    }
    match ask.anew().revoke_token(&ask.actor(), &id, ask.now).await? {
        Changed::Yes | Changed::Already => Ok(Gone),
        Changed::NotThere => Err(no_token()),
    }
}

/// Whoever asks may all of this themselves.
fn has_all<T>(ask: &Ask<T>, scopes: &Scopes) -> Result<(), Problem> {
    let missing = scopes.difference(&ask.operator.scopes).next();
    missing.map_or(Ok(()), |scope| Err(Refused::Scope(*scope).into()))
}

/// Whoever has the code that is given out can set up what is asked for.
fn can_enrol<T>(ask: &Ask<T>) -> Result<(), Refused> {
    ask.here.admin.second_factors().keys_for_new().map(drop)
}

fn shown<T>(ask: &Ask<T>, account: &operator::Account) -> Account {
    shown::account(account, ask.now, ask.here.admin.second_factors().rule)
}

fn with_code<T>(
    ask: &Ask<T>,
    account: &operator::Account,
    code: &Secret<String>,
    is_new: bool,
) -> ShownOnce<OperatorWithCode> {
    let without = OperatorWithCode { is: shown(ask, account), code: None };
    let thing = OperatorWithCode { code: Some(code.expose().clone()), ..without.clone() };
    let location = is_new.then(|| format!("/admin/api/operators/{}", account.name));
    ShownOnce { location, thing, without, version: None }
}

async fn found<T>(ask: &Ask<T>) -> Result<operator::Account, Problem> {
    let name = OperatorName::parse(ask.path("name")?).map_err(|_| no_such())?;
    ask.store().operator(&name).await?.ok_or_else(no_such)
}

fn no_such() -> Problem {
    Problem::not_there("there is no such operator")
}
