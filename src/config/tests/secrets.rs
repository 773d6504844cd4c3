//! Whatever is printed of a configuration, no secret is in it.

use super::*;

/// Recognisable wherever it comes out.
const CANARY: &str = "hunter2";

#[test]
fn no_output_shows_a_secret() {
    let proxy = "http://user-hunter2:hunter2@proxy:3128";
    let aes_key = format!("{CANARY}{}", "a".repeat(36));
    let secrets: [(&str, &str); 7] = [
        ("QIMATE_WECOM__SECRET", CANARY),
        ("QIMATE_WECOM__CALLBACK_TOKEN", CANARY),
        ("QIMATE_WECOM__ENCODING_AES_KEY", &aes_key),
        ("QIMATE_WECOM__PROXY", proxy),
        ("QIMATE_LLM__API_KEY", CANARY),
        ("QIMATE_LLM__PROXY", proxy),
        ("QIMATE_LLM__EXTRA_HEADERS", r#"{"X-Key":"hunter2"}"#),
    ];
    let environment = variables(&secrets);
    let loaded = Config::load(None, &environment).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(described(&loaded, "llm.proxy").1, "http://***@proxy:3128");
    assert_eq!(described(&loaded, "llm.extra_headers").1, "x-key: ***");
    for output in
        [loaded.describe(), format!("{loaded:?}"), format!("{:#?}", loaded.config), format!("{environment:?}")]
    {
        assert!(!output.contains(CANARY), "{output}");
    }
}

/// Whatever key a secret is pasted into by mistake, and in whatever form, the faults do not repeat it.
#[test]
fn no_fault_quotes_what_was_written() {
    let loaded = good(&[]);
    let keys: Vec<_> = loaded.keys().collect();
    let mangled =
        ["hunter2 hunter2", "hunter2\u{7f}", "://hunter2", "https://u:1/hunter2@h", "{\"hunter2 \":\"hunter2\"}"];
    let mut told = 0;
    for text in mangled {
        for key in &keys {
            let name = variable_of(key);
            for pair in [(name.clone(), text), (format!("{name}_FILE"), text)] {
                if let Err(faults) = load(&[(&pair.0, pair.1)]) {
                    told += 1;
                    assert!(!format!("{faults} {faults:?}").contains(CANARY), "{faults}");
                }
            }
            let (section, key) = key.split_once('.').expect("a section");
            let (_directory, path) = with_file(&format!("[{section}]\n{key} = '{text}'\n"));
            if let Err(faults) = Config::load(Some(&path), &variables(&[(&name, "")])) {
                told += 1;
                assert!(!format!("{faults} {faults:?}").contains(CANARY), "{faults}");
            }
        }
    }
    assert!(told > 2 * keys.len(), "most of these are faults, {told} were");
}

/// Where somebody chooses a secret, a start with one that is soon found is refused; none has a default.
#[test]
fn a_secret_that_is_soon_found_is_refused_and_none_is_there_by_itself() {
    for (name, longest_refused) in [("QIMATE_SERVER__OPERATOR_KEY", 23), ("QIMATE_ALERTS__WEBHOOK_SECRET", 15)] {
        let url = ("QIMATE_ALERTS__WEBHOOK_URL", "https://hooks.example.com/x");
        let (short, long) = ("k".repeat(longest_refused), "k".repeat(longest_refused + 1));
        let told = faults(&[url, (name, &short)]);
        assert!(told.contains(&name.to_lowercase()["qimate_".len()..].replace("__", ".")), "{told}");
        assert!(!told.contains(&short), "{told}");
        good(&[url, (name, &long)]);
    }
    let loaded = good(&[]);
    assert!(loaded.config.server.operator_key.is_none());
    for line in EXAMPLE.lines().filter(|line| !line.starts_with('#')) {
        let Some((key, default)) = line.split_once(" = ") else { continue };
        let is_secret = ["secret", "_key", "token", "password"].iter().any(|word| key.ends_with(word));
        assert!(!is_secret || key == "private_key" || default == "\"\"", "{line}");
    }
}
