//! `qimate operator`: who administers by HTTP. A running daemon feels a change within a second.

use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use serde_json::{Value, json};

use super::{actor, say, tell};
use crate::{
    admin::shown,
    clock::{Clock, Timestamp},
    config::{Config, chat::Language},
    model::{
        key::KeyId,
        operator::{Account, LONGEST_LABEL, OperatorName, Role, Scope, Token},
        person::table::read_expiry,
        second_factor::SecondFactor,
    },
    secret::Secret,
    store::{
        Store,
        operators::{
            Changed, Created, Reset,
            tokens::{MadeToken, NewToken},
        },
    },
};

/// How long a token is good of which nothing else was said.
const TOKEN_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What a token is to be, as it was written.
#[derive(Clone, Debug)]
pub struct WantedToken {
    /// Whose it is.
    pub operator: OperatorName,
    /// What it may.
    pub scopes: Vec<Scope>,
    /// What people call it.
    pub label: String,
    /// A date, or `never`; `None`: 90 days.
    pub expires: Option<String>,
}

/// Makes an operator and shows the code by which they set their password, once.
///
/// # Errors
/// There is one of this name, they could not set up a second factor, or the database cannot be written.
pub async fn create(config: &Config, name: &OperatorName, role: Role, as_json: bool) -> anyhow::Result<()> {
    can_enrol(config)?;
    let now = Clock::System.now();
    match Store::open_beside(&config.storage)?.create_operator(&actor(), name, role, now).await? {
        Created::New(account, code) => code_shown_once(config, &account, &code, as_json, now),
        Created::There(account) => bail!(tell(
            config,
            || format!("已经有管理员 {}；忘了密码请用 qimate operator reset", account.name),
            || format!(
                "there is an operator {} already; `qimate operator reset` is for who forgot the password",
                account.name
            ),
        )),
    }
    Ok(())
}

/// Prints every operator.
///
/// # Errors
/// There is no database, or it cannot be read.
pub async fn list(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let (accounts, now) = (Store::open_beside(&config.storage)?.operators().await?, Clock::System.now());
    if as_json {
        println!("{:#}", accounts.iter().map(|account| in_json(config, account, now)).collect::<Value>());
        return Ok(());
    }
    if accounts.is_empty() {
        println!(
            "{}",
            say(
                config,
                "还没有管理员，所以 /admin/api 也没有开放。例如：qimate operator create zhangsan --role owner",
                "no operators yet, and so no /admin/api; for example: qimate operator create zhangsan --role owner",
            )
        );
        return Ok(());
    }
    println!(
        "{}",
        say(
            config,
            "角色      状态              第二因素       最后登录          名称",
            "ROLE      STATE             SECOND FACTOR  LAST LOGIN        NAME"
        )
    );
    for account in accounts {
        let login = account.last_login_at.map_or_else(|| "-".to_owned(), |at| moment(config, at));
        let (role, state) = (account.role.as_str(), account.state(now, config.admin.second_factor));
        println!("{role:<8}  {state:<16}  {:<13}  {login:<16}  {}", yes_or_no(&account), account.name);
    }
    Ok(())
}

/// Prints one operator with their tokens; never a secret.
///
/// # Errors
/// There is no such operator, or the database cannot be read.
pub async fn show(config: &Config, name: &OperatorName, as_json: bool) -> anyhow::Result<()> {
    let (store, now) = (Store::open_beside(&config.storage)?, Clock::System.now());
    let account = store.operator(name).await?.ok_or_else(|| no_such(config, name))?;
    let tokens = store.tokens_of(account.number).await?;
    if as_json {
        let mut all = in_json(config, &account, now);
        all["tokens"] = tokens.iter().map(|token| token_in_json(token, now)).collect();
        println!("{all:#}");
        return Ok(());
    }
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| moment(config, at));
    for (field, text) in [
        (say(config, "名称", "name"), account.name.to_string()),
        (say(config, "角色", "role"), account.role.as_str().to_owned()),
        (say(config, "状态", "state"), account.state(now, config.admin.second_factor).to_owned()),
        (say(config, "创建", "created"), moment(config, account.created_at)),
        (say(config, "设置密码", "password set"), time(account.password_set_at)),
        (say(config, "第二因素", "second factor"), yes_or_no(&account).to_owned()),
        (say(config, "最后登录", "last login"), time(account.last_login_at)),
    ] {
        println!("{field}: {text}");
    }
    for token in tokens {
        println!(
            "{} {}: {}  {}  {} {}  {} {}  {}",
            say(config, "令牌", "token"),
            token.id,
            token.standing(now).as_str(),
            words(&token),
            say(config, "到期", "expires"),
            time(token.expires_at),
            say(config, "最后使用", "last used"),
            time(token.last_used_at),
            token.label
        );
    }
    Ok(())
}

/// Takes an operator's password, second factor and sessions away, and shows a new code, once.
///
/// # Errors
/// There is no such operator, they are disabled, they could not set up a second factor, or the database cannot be written.
pub async fn reset(config: &Config, name: &OperatorName, as_json: bool) -> anyhow::Result<()> {
    can_enrol(config)?;
    let now = Clock::System.now();
    match Store::open_beside(&config.storage)?.reset_operator(&actor(), name, now).await? {
        Reset::Yes(account, code) => code_shown_once(config, &account, &code, as_json, now),
        Reset::NotThere => return Err(no_such(config, name)),
        Reset::Disabled => bail!(tell(
            config,
            || format!("管理员 {name} 已停用；请先 qimate operator enable {name}"),
            || format!("operator {name} is disabled; `qimate operator enable {name}` comes first"),
        )),
    }
    Ok(())
}

/// Lets nothing of an operator's be good any more.
///
/// # Errors
/// There is no such operator, or the database cannot be written.
pub async fn disable(config: &Config, name: &OperatorName, as_json: bool) -> anyhow::Result<()> {
    let changed = Store::open_beside(&config.storage)?.disable_operator(&actor(), name, Clock::System.now()).await?;
    let said = match changed {
        Changed::NotThere => return Err(no_such(config, name)),
        Changed::Yes => [
            format!("管理员 {name} 已停用：会话已结束，令牌已收回"),
            format!("disabled operator {name}: sessions are ended, tokens revoked"),
        ],
        Changed::Already => [format!("管理员 {name} 早已停用"), format!("operator {name} was disabled before")],
    };
    changed_operator(config, name, said, as_json).await
}

/// Lets an operator log in again.
///
/// # Errors
/// There is no such operator, or the database cannot be written.
pub async fn enable(config: &Config, name: &OperatorName, as_json: bool) -> anyhow::Result<()> {
    let said = match Store::open_beside(&config.storage)?.enable_operator(&actor(), name, Clock::System.now()).await? {
        Changed::NotThere => return Err(no_such(config, name)),
        Changed::Yes => [
            format!("管理员 {name} 可以再次登录；收回的令牌需要重新创建"),
            format!("operator {name} can log in again; tokens that were revoked must be made anew"),
        ],
        Changed::Already => [format!("管理员 {name} 没有停用"), format!("operator {name} is not disabled")],
    };
    changed_operator(config, name, said, as_json).await
}

/// Makes a token and shows it, once.
///
/// # Errors
/// There is no such operator, something of it is wrong, or the database cannot be written.
pub async fn create_token(config: &Config, wanted: WantedToken, as_json: bool) -> anyhow::Result<()> {
    let (now, name) = (Clock::System.now(), wanted.operator);
    ensure!(
        wanted.label.chars().count() <= LONGEST_LABEL && !wanted.label.chars().any(char::is_control),
        "{}",
        tell(
            config,
            || format!("--label：最多 {LONGEST_LABEL} 个字"),
            || format!("--label: expected at most {LONGEST_LABEL} characters"),
        )
    );
    let expires_at = match &wanted.expires {
        None => Some(now + TOKEN_LIFE),
        Some(text) => read_expiry(text, &config.chat.time_zone)
            .map_err(|[chinese, english]| anyhow!("--expires: {}", say(config, chinese, english)))?,
    };
    ensure!(
        expires_at.is_none_or(|at| at > now),
        "{}",
        say(config, "--expires：这一天已经过去", "--expires: that day is over")
    );
    let scopes = wanted.scopes.into_iter().collect();
    let new = NewToken { operator: name.clone(), label: wanted.label, scopes, expires_at };
    match Store::open_beside(&config.storage)?.make_token(&actor(), new, now).await? {
        MadeToken::New(token, text) if as_json => {
            let mut all = token_in_json(&token, now);
            all["token"] = Value::from(text.expose().as_str());
            println!("{all:#}");
        }
        MadeToken::New(token, text) => {
            let until = token.expires_at.map_or_else(|| "-".to_owned(), |at| moment(config, at));
            eprintln!(
                "{}",
                tell(
                    config,
                    || format!("管理员 {name} 的令牌 {}（{}，到期 {until}），只显示这一次：", token.id, words(&token)),
                    || format!(
                        "token {} of operator {name} ({}, until {until}), shown this once:",
                        token.id,
                        words(&token)
                    ),
                )
            );
            println!("{}", text.expose());
        }
        MadeToken::NotThere => return Err(no_such(config, &name)),
        MadeToken::Disabled => {
            bail!(tell(config, || format!("管理员 {name} 已停用"), || format!("operator {name} is disabled"),))
        }
        MadeToken::Beyond(scope) => bail!(tell(
            config,
            || format!("管理员 {name} 的角色没有 {} 权限，令牌也不能有", scope.as_str()),
            || format!("the role of operator {name} is without {}, so a token cannot have it", scope.as_str()),
        )),
    }
    Ok(())
}

/// Takes a token back, for good.
///
/// # Errors
/// There is no such token, or the database cannot be written.
pub async fn revoke_token(config: &Config, id: &str, as_json: bool) -> anyhow::Result<()> {
    // Not quoted: somebody may have given a whole token.
    let id = KeyId::parse(id).map_err(|_| {
        anyhow!(
            "{}",
            say(
                config,
                "不是令牌的编号：应为 qimate operator show 里的 12 位编号，不是令牌本身",
                "not the id of a token: expected the 12 digits that `qimate operator show` shows, and not the token itself"
            )
        )
    })?;
    let [chinese, english] =
        match Store::open_beside(&config.storage)?.revoke_token(&actor(), &id, Clock::System.now()).await? {
            Changed::Yes => [format!("令牌 {id} 已收回"), format!("revoked token {id}")],
            Changed::Already => [format!("令牌 {id} 早已收回"), format!("token {id} was revoked before")],
            Changed::NotThere => bail!(tell(
                config,
                || format!("没有编号为 {id} 的令牌；qimate operator show 会列出一个管理员的全部令牌"),
                || format!("there is no token {id}; `qimate operator show` shows those of an operator"),
            )),
        };
    if as_json {
        println!("{:#}", json!({"id": id.as_str(), "state": "revoked"}));
    } else {
        println!("{}", tell(config, || chinese, || english));
    }
    Ok(())
}

async fn changed_operator(
    config: &Config,
    name: &OperatorName,
    [chinese, english]: [String; 2],
    as_json: bool,
) -> anyhow::Result<()> {
    if as_json {
        return show(config, name, true).await;
    }
    println!("{}", tell(config, || chinese, || english));
    Ok(())
}

/// Whether they have a second factor.
const fn yes_or_no(account: &Account) -> &'static str {
    if account.second_factor { "yes" } else { "no" }
}

/// Whoever has the code that is given out can set up what is asked for.
fn can_enrol(config: &Config) -> anyhow::Result<()> {
    ensure!(
        config.secrets.keys.is_some() || config.admin.second_factor == SecondFactor::Off,
        "{}",
        say(
            config,
            "管理员需要第二因素，它要用主密钥加密保存，而现在没有主密钥：请把 qimate secrets new-master-key 打印的内容填在 \
             secrets.master_key（环境变量 QIMATE_SECRETS__MASTER_KEY，或用 QIMATE_SECRETS__MASTER_KEY_FILE 指定文件）；或者设置 \
             admin.second_factor = \"off\"，只凭密码登录",
            "operators need a second factor, which is kept encrypted, and there is no master key: set secrets.master_key \
             (QIMATE_SECRETS__MASTER_KEY, or a file by QIMATE_SECRETS__MASTER_KEY_FILE) to what `qimate secrets \
             new-master-key` prints, for the daemon too; or set admin.second_factor = \"off\", and the password alone will do"
        )
    );
    Ok(())
}

fn in_json(config: &Config, account: &Account, now: Timestamp) -> Value {
    json!(shown::account(account, now, config.admin.second_factor))
}

fn token_in_json(token: &Token, now: Timestamp) -> Value {
    json!(shown::token(token, now))
}

/// The only moment in which a code is seen. Where a program reads, it alone stands on the standard output.
fn code_shown_once(config: &Config, account: &Account, code: &Secret<String>, as_json: bool, now: Timestamp) {
    if as_json {
        let mut all = in_json(config, account, now);
        all["code"] = Value::from(code.expose().as_str());
        println!("{all:#}");
        return;
    }
    let (name, role) = (&account.name, account.role.as_str());
    let until = account.invitation.as_ref().map_or_else(String::new, |open| moment(config, open.until));
    eprintln!(
        "{}",
        tell(
            config,
            || format!("管理员 {name}（{role}）设置密码用的一次性代码，{until} 之前有效，只显示这一次："),
            || format!(
                "the code by which operator {name} ({role}) sets a password, once, until {until}; shown this once:"
            ),
        )
    );
    println!("{}", code.expose());
    let place = config.server.public_url.as_deref().unwrap_or("https://…");
    eprintln!(
        "{}",
        match config.chat.language {
            Language::Chinese => format!(
                "请向 {place}/admin/api/invitation 发送 POST，正文 {{\"code\": \"…\", \"password\": \"…\"}}；\
                 密码至少 12 个字符，不能包含名称；回答里是第二因素，只显示这一次。见 docs/administration.zh-CN.md"
            ),
            Language::English => format!(
                "POST {{\"code\": \"…\", \"password\": \"…\"}} to {place}/admin/api/invitation; a password has 12 \
                 characters or more, and not the name in it; the answer shows the second factor, once. See \
                 docs/administration.md"
            ),
        }
    );
}

fn no_such(config: &Config, name: &OperatorName) -> anyhow::Error {
    anyhow!(tell(
        config,
        || format!("没有管理员 {name}；qimate operator list 会列出全部"),
        || format!("there is no operator {name}; `qimate operator list` shows them"),
    ))
}

fn moment(config: &Config, at: Timestamp) -> String {
    config.chat.time_zone.local(at).to_string()
}

fn words(token: &Token) -> String {
    token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",")
}
