//! Secrets that stand in the database: each has a name, fills its setting, and gives way to what is set elsewhere.

use super::*;
use crate::{
    config::{
        SecretName, Standing,
        secret_name::{IN_LISTS, SETTINGS, forms},
    },
    secret::Secret,
    vault::{MasterKey, Unreadable},
};

/// Recognisable wherever it comes out.
const CANARY: &str = "hunter2hunter2hunter2hunter2hunter2hunter2a";

fn stored(pairs: &[(&str, &str)]) -> Vec<(String, Secret<String>)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect()
}

fn load_stored(environment: &Environment, pairs: &[(&str, &str)]) -> Loaded {
    Config::gather(None, environment).load(stored(pairs)).unwrap_or_else(|faults| panic!("{faults}"))
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

/// A value that the setting takes, with the canary in it.
fn fitting(name: &str) -> String {
    match name.rsplit_once('.').expect("a section").1 {
        "proxy" => format!("http://user:{CANARY}@proxy:3128"),
        "callback_token" | "previous_callback_token" => CANARY[..32].to_owned(),
        "extra_headers" | "headers" | "env" => format!("{{\"X-Key\":\"{CANARY}\"}}"),
        "url" | "webhook_url" => format!("https://example.com/{CANARY}"),
        _ => CANARY.to_owned(),
    }
}

/// Fields of type `Secret` in the sources of this room, as the names of settings.
fn fields_of_secrets() -> BTreeSet<String> {
    // Whose fields are no settings: what a proxy's URL is parsed to, and OpenAI's own variables.
    const OTHERS: [&str; 2] = ["url", "environment"];
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
    let mut found = BTreeSet::new();
    for path in fs::read_dir(room).expect("the room").map(|entry| entry.expect("an entry").path()) {
        let Some(file) = path.file_stem().and_then(|stem| stem.to_str()).filter(|file| !OTHERS.contains(file)) else {
            continue;
        };
        if path.is_dir() {
            continue;
        }
        let section = match file {
            "upstream" => "llm.upstreams",
            "tools" => "tools.mcp",
            section => section,
        };
        let text = fs::read_to_string(&path).expect("a source");
        for line in text.split("#[cfg(test)]").next().unwrap_or_default().lines().map(str::trim) {
            let Some((field, kind)) = line.trim_start_matches("pub ").split_once(": ") else { continue };
            let is_field = field.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let kind = ["Option<", "Vec<", "BTreeMap<String, "]
                .iter()
                .fold(kind, |kind, around| kind.strip_prefix(around).unwrap_or(kind));
            if is_field && kind.starts_with("Secret<") {
                found.insert(format!("{section}.{field}"));
            }
        }
    }
    found
}

/// Whoever adds a setting with a secret in it names it in `secret_name`, and it can be stored.
#[test]
fn every_setting_with_a_secret_has_a_name() {
    let in_lists = IN_LISTS.iter().flat_map(|(list, keys)| keys.iter().map(move |key| format!("{list}.{key}")));
    let named: BTreeSet<_> = SETTINGS.iter().map(|key| (*key).to_owned()).chain(in_lists).collect();
    assert_eq!(fields_of_secrets(), named);
    assert!(named.len() > 20, "the test reads what it thinks it reads");
    for form in forms() {
        assert_eq!(name(&form.replace("NAME", "hr")).to_string(), form.replace("NAME", "hr"));
    }
}

#[test]
fn a_name_is_that_of_a_setting_with_a_secret_and_is_not_quoted() {
    for good in ["wecom.secret", "apps.hr.encoding_aes_key", "llm.upstreams.gpt-4.1 国内.api_keys", "tools.mcp.crm.url"]
    {
        assert_eq!(name(good).to_string(), good);
    }
    assert_eq!(name(" wecom.secret\n").to_string(), "wecom.secret");
    for bad in
        ["hunter2", "wecom.corp_id", "apps.HR.secret", "apps.hr.model", "llm.upstreams..proxy", "secrets.master_key"]
    {
        let told = SecretName::parse(bad).expect_err(bad).told(Language::English);
        assert!(told.starts_with("NAME: is no setting that holds a secret; ") && !told.contains("hunter2"), "{told}");
    }
    let told = SecretName::parse("wecom.secrt").expect_err("a slip").told(Language::Chinese);
    assert_eq!(told, "NAME：不是可以保存密钥的设置；是不是 wecom.secret？");
}

#[test]
fn every_stored_secret_fills_its_setting_and_shows_nowhere() {
    let lists = [
        ("QIMATE_LLM__UPSTREAMS", r#"[{"name":"ds","base_url":"https://ds/v1","models":["gpt-4o-mini"]}]"#),
        ("QIMATE_LLM__MODEL", "gpt-4o-mini"),
        ("QIMATE_TOOLS__MCP", r#"[{"name":"crm","allow":["x"]},{"name":"local","command":"crm","allow":["x"]}]"#),
        ("QIMATE_APPS__HR__AGENT_ID", "7"),
    ];
    // Nothing but what is no secret.
    let environment = Environment::from_pairs(NEEDED[..2].iter().chain(&lists).copied());
    let server = |form: &str| if form.ends_with(".env") { "local" } else { "crm" };
    let names: Vec<_> = forms()
        .iter()
        .map(|form| match form {
            form if form.starts_with("llm.upstreams") => form.replace("NAME", "ds"),
            form if form.starts_with("tools") => form.replace("NAME", server(form)),
            form => form.replace("NAME", "hr"),
        })
        .collect();
    let values: Vec<_> = names.iter().map(|name| (name.as_str(), fitting(name))).collect();
    for (text, value) in &values {
        let checked = name(text).check(&Secret::new(value.clone()));
        assert!(checked.is_ok(), "{text}: {checked:?}");
    }
    let pairs: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let loaded = load_stored(&environment, &pairs);
    for name in &names {
        let (origin, shown) = described(&loaded, name);
        assert!(origin == "qimate secrets" && shown.contains("***"), "{name}: {origin} {shown}");
    }
    assert_eq!((loaded.stored_and_used(), loaded.stored_notes().len()), (names.len(), 0));
    let told = format!("{loaded:?} {} {:?}", loaded.describe(), loaded.hints());
    assert!(!told.contains(&CANARY[..20]), "{told}");
    let config = loaded.config;
    assert_eq!(config.apps.first.wecom.secret.expose(), CANARY);
    assert_eq!(config.llm.upstreams[0].api_keys[0].expose(), CANARY);
    assert_eq!(config.apps.more[0].wecom.encoding_aes_key.expose(), CANARY);
}

#[test]
fn several_keys_of_an_upstream_stand_below_each_other() {
    let of_file = "[wecom]\ncorp_id = \"ww1\"\nagent_id = 1\n[llm]\nmodel = \"m\"\n[[llm.upstreams]]\nname = \"ds\"\n\
                   base_url = \"https://ds/v1\"\nmodels = [\"m\"]\n";
    let (_directory, path) = with_file(of_file);
    let gathered = Config::gather(Some(&path), &variables(&[]));
    let loaded = gathered.load(stored(&[("llm.upstreams.ds.api_keys", "sk-1\n sk-2\r\n\n")])).expect("loaded");
    let keys: Vec<_> = loaded.config.llm.upstreams[0].api_keys.iter().map(|key| key.expose().as_str()).collect();
    assert_eq!(keys, ["sk-1", "sk-2"]);
}

#[test]
fn what_is_set_wins_over_what_is_stored_and_that_is_said() {
    let pairs =
        [("wecom.secret", CANARY), ("apps.hr.secret", CANARY), ("llm.upstreams.ds.proxy", CANARY), ("gone.x", CANARY)];
    let loaded = load_stored(&variables(&[]), &pairs);
    assert_eq!(loaded.config.apps.first.wecom.secret.expose(), "app-secret");
    assert!(loaded.config.apps.more.is_empty(), "a stored secret makes no application");
    let notes = loaded.stored_notes();
    assert_eq!((notes.len(), loaded.stored_and_used()), (4, 0), "{notes:#?}");
    let told = notes.join("\n");
    assert!(
        told.contains(
            "wecom.secret：QIMATE_WECOM__SECRET 和数据库（qimate secrets）都有，以 QIMATE_WECOM__SECRET 为准"
        )
    );
    assert!(
        told.contains("apps.hr.secret：数据库（qimate secrets）里有，但配置里没有用到它") && !told.contains(CANARY)
    );

    // An empty line of the file sets nothing.
    let (_directory, path) = with_file("[wecom]\nsecret = \"\"\n");
    let gathered = Config::gather(Some(&path), &variables(&[("QIMATE_WECOM__SECRET", "")]));
    assert_eq!(gathered.standing(&name("wecom.secret")), Standing::Used);
    let of_apps = [("QIMATE_WECOM__AGENT_ID", ""), ("QIMATE_WECOM__SECRET", ""), ("QIMATE_APPS__HR__AGENT_ID", "7")];
    let of_apps = of_apps.iter().chain(&[("QIMATE_WECOM__CALLBACK_TOKEN", ""), ("QIMATE_WECOM__ENCODING_AES_KEY", "")]);
    let gathered = Config::gather(None, &variables(&of_apps.copied().collect::<Vec<_>>()));
    assert_eq!(gathered.standing(&name("wecom.secret")), Standing::Unused, "there is no application of [wecom]");
    assert_eq!(gathered.standing(&name("apps.hr.secret")), Standing::Used);
}

#[test]
fn a_value_is_checked_by_the_rule_of_its_setting_and_not_quoted() {
    for (place, value, told) in [
        ("wecom.encoding_aes_key", "hunter2", "has 7 characters"),
        ("apps.hr.callback_token", "hunter2 hunter2", "holds something else"),
        ("llm.api_key", "hunter2 hunter2", "holds a space"),
        ("llm.proxy", "hunter2", "; expected"),
        ("server.operator_key", "hunter2", "has 7 characters"),
        ("alerts.webhook_secret", "hunter2", "has 7 characters"),
        ("llm.extra_headers", "hunter2", "is not a JSON object"),
        ("llm.upstreams.ds.api_keys", "hunter2 hunter2", "holds a space"),
        ("llm.upstreams.ds.extra_headers", "{\"hunter2 \":\"x\"}", "no header can have"),
        ("tools.mcp.crm.url", "hunter2", "; expected"),
        ("tools.mcp.crm.env", "hunter2", "is not a JSON object"),
        ("wecom.secret", " \n", "is empty"),
        ("llm.extra_headers", &"hunter2".repeat(4000), "has 28000 bytes"),
    ] {
        let fault = name(place).check(&Secret::new(value.to_owned())).expect_err(place).told(Language::English);
        assert!(fault.starts_with(&format!("{place}: ")) && fault.contains(told), "{fault}");
        assert!(!fault.contains("hunter2"), "{fault}");
    }
}

#[test]
fn a_master_key_is_well_formed_or_a_fault() {
    let (key, text) = MasterKey::draw().expect("random bytes");
    let loaded = good(&[("QIMATE_SECRETS__MASTER_KEY", text.expose())]);
    let shown = described(&loaded, "secrets.master_key").1;
    assert!(
        shown == format!("*** (id {})", key.id()) && !format!("{loaded:?}").contains(&text.expose()[..8]),
        "{shown}"
    );
    for (value, told) in [("hunter2", "is not Base64"), ("aHVudGVyMg==", "has 7 bytes"), ("令牌", "is not Base64")] {
        let fault = faults(&[("QIMATE_SECRETS__MASTER_KEY", value)]);
        assert!(fault.starts_with(&format!("secrets.master_key: {told}; expected 32 bytes in Base64")), "{fault}");
    }
    let alone = faults(&[("QIMATE_SECRETS__PREVIOUS_MASTER_KEY", text.expose())]);
    assert!(alone.starts_with("secrets.previous_master_key: stands alone"), "{alone}");
    let gathered = Config::gather(None, &Environment::from_pairs([("QIMATE_SECRETS__MASTER_KEY", "x")]));
    assert!(gathered.basics().is_none() && gathered.basics_alone().is_err());
    // What is missing is not what is wrong: it is in what cannot be read.
    let gathered = Config::gather(None, &Environment::from_pairs([("QIMATE_SECRETS__MASTER_KEY", text.expose())]));
    assert!(gathered.basics().is_some_and(|basics| basics.secrets.keys.is_some()) && gathered.basics_alone().is_ok());
    let refused = gathered.refused(&[Unreadable::NoMasterKey { needed: key.id() }]);
    assert_eq!(refused.iter().count(), 1);
}
