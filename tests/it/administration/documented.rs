//! The `curl` commands of the document, one after the other, as a daemon answers them.

use std::{fs, path::Path};

use qimate::model::operator::Role;

use super::{
    Scene,
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
