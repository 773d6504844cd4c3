//! WeCom checks that a domain is the company's by a file at its root.

use std::collections::BTreeMap;

use reqwest::{Client, Method};

use crate::harness::{App, within};

const NAME: &str = "WW_verify_AbC123.txt";

async fn app() -> App {
    App::start_with(|config| {
        let files = [(NAME, "AbC123"), ("WW_verify_second.txt", "second")];
        config.server.domain_files = BTreeMap::from(files.map(|(name, text)| (name.to_owned(), text.to_owned())));
    })
    .await
}

#[tokio::test]
async fn a_domain_file_is_answered_at_the_root_byte_for_byte() {
    let app = app().await;
    for (name, content) in [(NAME, "AbC123"), ("WW_verify_second.txt", "second")] {
        let answer = within(reqwest::get(app.url(&format!("/{name}")))).await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers()["content-length"], content.len().to_string());
        assert_eq!(answer.text().await.unwrap(), content, "no line end is added");
    }
    let head = within(Client::new().head(app.url(&format!("/{NAME}"))).send()).await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].as_bytes()), (200, b"6".as_slice()));
}

#[tokio::test]
async fn nothing_else_is_there() {
    let app = app().await;
    for path in [
        "/WW_verify_other.txt",
        "/ww_verify_abc123.txt",
        "/WW_verify_AbC123",
        "/wxcomapp/WW_verify_AbC123.txt",
        "/WW_verify_AbC123.txt/",
        "/robots.txt",
        "/",
    ] {
        assert_eq!(within(reqwest::get(app.url(path))).await.unwrap().status(), 404, "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let request = Client::new().request(method.clone(), app.url(&format!("/{NAME}")));
        assert_eq!(within(request.send()).await.unwrap().status(), 404, "{method}");
    }
    let operations = within(reqwest::get(app.operations_url(&format!("/{NAME}")))).await.unwrap();
    assert_eq!(operations.status(), 404, "the operators' address is no domain");
    let without = App::start().await;
    assert_eq!(within(reqwest::get(without.url(&format!("/{NAME}")))).await.unwrap().status(), 404);
}
