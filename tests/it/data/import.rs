//! `qimate import-cow`: a chatgpt-on-wechat deployment moves over by its `config.json`.

use std::fs;

use qimate::{
    config::{Config, Environment},
    sandbox::model::ModelReply,
};

use crate::company::Company;

const AES_KEY: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";

/// A file such as people have, with their values.
fn theirs() -> String {
    format!(
        "\u{feff}{}",
        serde_json::json!({
            "channel_type": "wechatcom_app",
            "wechatcom_corp_id": "ww1436e0e65a779aee",
            "wechatcomapp_token": "hunter2token",
            "wechatcomapp_port": 9899,
            "wechatcomapp_secret": "hunter2secret",
            "wechatcomapp_agent_id": "1000002",
            "wechatcomapp_aes_key": AES_KEY,
            "open_ai_api_key": "sk-hunter2",
            "open_ai_api_base": "https://api.deepseek.com/v1",
            "model": "deepseek-chat",
            "proxy": "user:hunter2@proxy.corp:7890",
            "character_desc": "你是小助手。\n请用“中文”回答。",
            "temperature": 0.7,
            "expires_in_seconds": 3601,
            "conversation_max_tokens": 100,
            "subscribe_msg": "你好，{trigger_prefix}请直接提问。",
            "single_chat_prefix": ["bot", "@bot"],
            "group_name_white_list": ["群"],
            "speech_recognition": true,
            "voice_reply_voice": false,
            "clear_memory_commands": ["#忘记"],
            "azure_api_version": "",
            "home_made": 1
        })
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_json_becomes_a_configuration_that_loads() {
    let company = Company::open(&[]).await;
    let path = |name: &str| company.dir.path().join(name);
    fs::write(path("config.json"), theirs()).unwrap();
    let output = company.run(&["import-cow", "config.json", "--out", "new.toml"]).await;
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");

    let config = Config::load(Some(&path("new.toml")), &Environment::default()).unwrap().config;
    assert_eq!(config.apps.first.wecom.agent_id.get(), 1_000_002);
    assert_eq!(config.apps.first.wecom.secret.expose(), "hunter2secret");
    assert_eq!(config.apps.first.wecom.encoding_aes_key.expose(), AES_KEY);
    assert_eq!(config.server.listen.port(), 9899);
    assert_eq!(config.llm.model, "deepseek-chat");
    assert_eq!(config.llm.system_prompt, "你是小助手。\n请用“中文”回答。");
    assert_eq!(config.llm.temperature, Some(0.7));
    assert_eq!(config.llm.proxy.unwrap().expose(), "http://user:hunter2@proxy.corp:7890");
    assert_eq!(config.chat.idle.unwrap().as_secs(), 61 * 60);
    assert_eq!(config.chat.context_tokens, 8000, "what Qimate would refuse does not keep it from starting");
    assert_eq!(config.chat.welcome.as_deref(), Some("你好，请直接提问。"));

    assert!(!told.contains("hunter2") && !told.contains(AES_KEY), "{told}");
    for word in [
        "-> wecom.corp_id = ww1436e0e65a779aee".replace("-> ", "->  "),
        "conversation_max_tokens: not taken".to_owned(),
        "group_name_white_list: an app of WeCom has no groups".to_owned(),
        "single_chat_prefix: not needed".to_owned(),
        "clear_memory_commands: the commands are /new".to_owned(),
        "home_made: is not known".to_owned(),
        "Nothing is missing".to_owned(),
    ] {
        assert!(told.contains(&word), "{word}: {told}");
    }
    assert!(!told.contains("voice_reply_voice") && !told.contains("azure_api_version"), "not wanted there: {told}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(path("new.toml")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Not a second time over the administrator's file.
    let before = fs::read(path("new.toml")).unwrap();
    let again = company.run(&["import-cow", "config.json", "--out", "new.toml"]).await;
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("is there already"));
    assert_eq!(fs::read(path("new.toml")).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_and_what_is_no_json_is_not_quoted() {
    let company = Company::open(&[]).await;
    let path = |name: &str| company.dir.path().join(name);
    fs::write(path("config.json"), r#"{"open_ai_api_key": "YOUR API KEY", "moonshot_api_key": "sk-hunter2"}"#).unwrap();
    let output = company.run(&["import-cow", "config.json"]).await;
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("placeholder") && told.contains("https://api.moonshot.cn/v1"), "{told}");
    assert!(told.contains("server.listen = 0.0.0.0:9898"), "the port that it had by default: {told}");
    for key in ["wecom.corp_id", "wecom.secret", "wecom.encoding_aes_key", "llm.api_key"] {
        assert!(told.split("Still missing").nth(1).unwrap().contains(key), "{key}: {told}");
    }
    assert!(!told.contains("hunter2"));

    for broken in
        ["{\n  \"wechatcomapp_secret\": hunter2\n}", "{\"a\": \"hunter2\",}", "# hunter2\n{}", "[\"hunter2\"]"]
    {
        fs::write(path("broken.json"), broken).unwrap();
        let output = company.run(&["import-cow", "broken.json", "--out", "broken.toml"]).await;
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains("broken.json") && !told.contains("hunter2"), "{told}");
        assert!(!path("broken.toml").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_written_file_serves() {
    let mut company = Company::open(&[]).await;
    let app = company.wecom.settings().clone();
    let json = serde_json::json!({
        "wechatcom_corp_id": app.corp_id.to_string(),
        "wechatcomapp_token": app.callback_token.expose(),
        "wechatcomapp_secret": app.secret.expose(),
        "wechatcomapp_agent_id": app.agent_id.get(),
        "wechatcomapp_aes_key": app.encoding_aes_key.expose(),
        "open_ai_api_key": "sk-1",
        "open_ai_api_base": company.model.base_url(),
        "character_desc": "你是老系统里的助手。",
    });
    fs::write(company.dir.path().join("config.json"), json.to_string()).unwrap();
    assert!(company.run(&["import-cow", "config.json"]).await.status.success());
    company.model.push(ModelReply::Answer("搬好了。".to_owned()));
    company.start_with_file("config.toml").await;
    assert!(company.wecom.say("zhangsan", "喂").await.accepted());
    company.wecom.wait_delivered(|all| !all.is_empty()).await;
    assert_eq!(company.model.requests()[0].contents("system"), ["你是老系统里的助手。"]);
}
