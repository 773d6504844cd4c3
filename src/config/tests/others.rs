//! Stories of values that stand under names which are not ours: those of chatgpt-on-wechat, and those of a platform.

use std::{path::Path, time::Duration};

use super::*;

#[test]
fn a_deployment_of_chatgpt_on_wechat_moves_over_as_it_is() {
    let old = [
        ("WECHATCOM_CORP_ID", "ww1436e0e65a779aee"),
        ("wechatcomapp_token", "callbackToken"),
        ("WECHATCOMAPP_SECRET", "app-secret"),
        ("WECHATCOMAPP_AGENT_ID", "1000002"),
        ("wechatcomapp_aes_key", AES_KEY),
        ("WECHATCOMAPP_PORT", "9898"),
        ("OPEN_AI_API_KEY", "sk-old"),
        ("open_ai_api_base", "https://api.example.com/v1"),
        ("MODEL", "gpt-old"),
        ("CHARACTER_DESC", "你是助手"),
        ("PROXY", "127.0.0.1:7890"),
        ("EXPIRES_IN_SECONDS", "3601"),
        ("CONVERSATION_MAX_TOKENS", "1000"),
    ];
    let loaded = Config::load(None, &Environment::from_pairs(old)).unwrap_or_else(|faults| panic!("{faults}"));
    let rows = [
        ("server.listen", "WECHATCOMAPP_PORT", "0.0.0.0:9898"),
        ("wecom.corp_id", "WECHATCOM_CORP_ID", "ww1436e0e65a779aee"),
        ("wecom.agent_id", "WECHATCOMAPP_AGENT_ID", "1000002"),
        ("wecom.secret", "WECHATCOMAPP_SECRET", "***"),
        ("wecom.callback_token", "wechatcomapp_token", "***"),
        ("wecom.encoding_aes_key", "wechatcomapp_aes_key", "***"),
        ("llm.api_key", "OPEN_AI_API_KEY", "***"),
        ("llm.base_url", "open_ai_api_base", "https://api.example.com/v1"),
        ("llm.model", "MODEL", "gpt-old"),
        ("llm.system_prompt", "CHARACTER_DESC", "你是助手"),
        ("llm.proxy", "PROXY", "http://127.0.0.1:7890"),
        ("chat.context_tokens", "CONVERSATION_MAX_TOKENS", "1000"),
    ];
    for (key, origin, value) in rows {
        assert_eq!(described(&loaded, key), (origin.to_owned(), value.to_owned()), "{key}");
    }
    assert_eq!(loaded.config.chat.idle, Some(Duration::from_secs(61 * 60)));
}

#[test]
fn old_names_count_only_where_ours_set_nothing() {
    let old = [
        ("OPENAI_API_KEY", "sk-openai"),
        ("openai_api_key", "sk-small"),
        ("OPEN_AI_API_KEY", "sk-older"),
        ("OPENAI_MODEL", "of-openai"),
        ("EXPIRES_IN_SECONDS", "not looked at"),
        ("QIMATE_CHAT__IDLE_MINUTES", "5"),
        ("QIMATE_LLM__API_KEY", ""),
    ];
    // A copy of the example, with nothing filled in, does not hide them; a model that is written down does.
    let (_directory, path) = with_file("[llm]\napi_key = \"\"\nmodel = \"gpt-4o-mini\"\n");
    let loaded = Config::load(Some(&path), &variables(&old)).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.config.llm.api_key.as_ref().map(|key| key.expose().as_str()), Some("sk-openai"));
    assert_eq!(loaded.config.llm.model, "gpt-4o-mini");
    assert_eq!(loaded.config.chat.idle, Some(Duration::from_secs(300)));
}

#[test]
fn an_invalid_old_value_is_a_fault_that_names_its_variable() {
    let told = faults(&[
        ("wechatcomapp_port", "http"),
        ("EXPIRES_IN_SECONDS", "an hour"),
        ("conversation_max_tokens", "12"),
        ("PROXY", "ftp://proxy"),
    ]);
    insta::assert_snapshot!(told, @"
    chat.idle_minutes: is not a whole number; expected seconds, or 0 for never (from EXPIRES_IN_SECONDS)
    server.listen: has a port that is none; expected a number from 0 to 65535 (from wechatcomapp_port)
    llm.proxy: does not begin with http:// or https:// or socks5:// or socks5h://; expected http://, https://, socks5:// or socks5h://, then host:port or user:password@host:port, special characters of the password percent-encoded (from PROXY)
    chat.context_tokens: is 12; expected a whole number from 256 to 10000000 (from conversation_max_tokens)
    ");
}

#[test]
fn the_platforms_port_wins_and_the_address_stays() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: [Case<'_>; 4] = [
        (&[("PORT", "3000")], "0.0.0.0:3000", "PORT"),
        (&[("PORT", "3000"), ("QIMATE_SERVER__LISTEN", "[::]:80")], "[::]:3000", "QIMATE_SERVER__LISTEN and PORT"),
        (&[("PORT", "3000"), ("WECHATCOMAPP_PORT", "9898")], "0.0.0.0:3000", "PORT"),
        (
            &[("WECHATCOMAPP_PORT", "9898"), ("QIMATE_SERVER__LISTEN", "127.0.0.1:80")],
            "127.0.0.1:80",
            "QIMATE_SERVER__LISTEN",
        ),
    ];
    for (given, listen, origin) in cases {
        assert_eq!(described(&good(given), "server.listen"), (origin.to_owned(), listen.to_owned()));
    }
    assert_eq!(
        faults(&[("PORT", "70000")]),
        "server.listen: has a port that is none; expected a number from 0 to 65535 (from PORT)"
    );
    assert_eq!(
        faults(&[("PORT", "3000"), ("QIMATE_SERVER__LISTEN", "0.0.0.0")]),
        "server.listen: is not an address with a port; expected such as 0.0.0.0:8080 or [::]:8080 \
         (from QIMATE_SERVER__LISTEN)"
    );
}

#[test]
fn on_railway_the_volume_and_the_domain_are_known_unless_somebody_says_otherwise() {
    let railway = [("RAILWAY_VOLUME_MOUNT_PATH", "/data"), ("RAILWAY_PUBLIC_DOMAIN", "qimate.up.railway.app")];
    let loaded = good(&railway);
    let row = |origin: &str, value: &str| (origin.to_owned(), value.to_owned());
    assert_eq!(described(&loaded, "storage.data_dir"), row("RAILWAY_VOLUME_MOUNT_PATH", "/data"));
    let url = "https://qimate.up.railway.app";
    assert_eq!(described(&loaded, "server.public_url"), row("RAILWAY_PUBLIC_DOMAIN", url));
    assert_eq!(loaded.config.storage.data_dir, Path::new("/data"));
    assert_eq!(loaded.config.server.public_url.as_deref(), Some(url));

    let ours =
        [("QIMATE_STORAGE__DATA_DIR", "/data/qimate"), ("QIMATE_SERVER__PUBLIC_URL", "https://qimate.example.com")];
    let loaded = good(&[railway, ours].concat());
    assert_eq!(described(&loaded, "storage.data_dir"), row("QIMATE_STORAGE__DATA_DIR", "/data/qimate"));
    let url = "https://qimate.example.com";
    assert_eq!(described(&loaded, "server.public_url"), row("QIMATE_SERVER__PUBLIC_URL", url));
    // A file says otherwise too.
    let (_directory, path) = with_file("[storage]\ndata_dir = \"elsewhere\"\n");
    let loaded = Config::load(Some(&path), &variables(&railway)).expect("configuration");
    assert_eq!(loaded.config.storage.data_dir, Path::new("elsewhere"));

    assert_eq!(described(&good(&[]), "server.public_url"), row("default", "(not set)"));
    assert_eq!(
        faults(&[("RAILWAY_PUBLIC_DOMAIN", "a b")]),
        "server.public_url: is not a usable URL; expected a URL such as https://api.example.com/v1 \
         (from RAILWAY_PUBLIC_DOMAIN)"
    );
}
