//! The `curl` commands of the document, one after the other, as a daemon answers them.

use std::{fs, path::Path};

use qimate::{
    model::{
        operator::Role,
        second_factor::{Seed, step_at},
    },
    secret::Secret,
};

use super::{
    PASSWORD, Scene,
    asked::{Program, answer},
};

/// A command's words: what stands in quotes is one.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in command.chars() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.push(std::mem::take(&mut word)),
            (c, _) => word.push(c),
        }
    }
    words.push(word);
    words
}

/// From the code of the first operator to their first login, by what the document shows.
#[tokio::test]
async fn the_way_to_the_first_session_is_as_the_document_says() {
    for document in ["docs/administration.md", "docs/administration.zh-CN.md"] {
        let scene = Scene::open().await;
        let code = scene.invite("zhangsan", Role::Owner).await;
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
        let picture = text.lines().find(|line| line.starts_with("qrencode ")).expect("how to scan it");
        let mut statuses = Vec::new();
        let (mut seed, mut uri) = (None, String::new());
        for command in text.lines().filter(|line| line.starts_with("curl --json ")) {
            let words = words(command);
            let digits = |seed: &Seed| seed.code(step_at(scene.now())).expose().clone();
            let body = words[2]
                .replace("qmi_...", &code)
                .replace(r#""password": "...""#, &format!(r#""password": "{PASSWORD}""#));
            let body = body.replace("123456", &seed.as_ref().map_or_else(String::new, digits));
            let url = words[3].strip_prefix("https://qimate.example.com").expect("the example's host");
            let request = reqwest::Client::new().post(scene.app.url(url)).header("content-type", "application/json");
            let answer = answer(request.body(body)).await;
            statuses.push(answer.status);
            if let Some(secret) = answer.body["second_factor"]["secret"].as_str() {
                seed = Seed::parse(&Secret::new(secret.to_owned()));
                uri = answer.body["second_factor"]["uri"].as_str().unwrap().replace(secret, "...");
            }
        }
        assert_eq!(statuses, [200, 201], "{document}");
        assert_eq!(words(picture).last(), Some(&uri), "{document}: the address is written as it comes");
        assert!(text.contains(&format!(r#""uri": "{uri}""#)), "{document}");
    }
}

#[tokio::test]
async fn every_curl_command_of_the_document_does_what_it_says() {
    for document in ["docs/administration.md", "docs/administration.zh-CN.md"] {
        let scene = Scene::open().await;
        let program = Program::of(&scene, "li", Role::Operator).await;
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
        let mut seen = 0;
        for command in text.lines().filter(|line| line.starts_with("curl --oauth2-bearer")) {
            let words = words(command);
            let flag = |name: &str| {
                let at = words.iter().position(|word| word == name)?;
                Some(words[at + 1].clone())
            };
            assert_eq!(flag("--oauth2-bearer").as_deref(), Some("$TOKEN"));
            let body = flag("--json");
            let method = flag("-X").unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.to_owned());
            let url = words.last().unwrap().strip_prefix("https://qimate.example.com").expect("the example's host");
            let mut request = reqwest::Client::new().request(method.parse().unwrap(), scene.app.url(url));
            request = request.bearer_auth(&program.token);
            if let Some((name, value)) = flag("-H").as_deref().and_then(|header| header.split_once(": ")) {
                request = request.header(name, value);
            }
            if let Some(body) = body {
                request = request.header("content-type", "application/json").body(body);
            }
            let answer = answer(request).await;
            assert!((200..300).contains(&answer.status), "{command}: {} {:#}", answer.status, answer.body);
            seen += 1;
        }
        assert!(seen > 5, "{document}: the test reads what it thinks it reads");
    }
}
