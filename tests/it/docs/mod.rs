//! The documents say what the code does: the reference is the example file, and every command in them is run.

mod asvs;
mod commands;
mod mistakes;

use std::{fmt::Write as _, fs, path::Path};

/// Set it to write `docs/configuration.md` and `docs/openapi.json` anew instead of comparing.
const UPDATE: &str = "QIMATE_UPDATE_DOCS";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `config.example.toml` as a page: sections as headings, each key with its default, its variable and its comment.
fn reference(example: &str) -> String {
    let mut page = String::from(
        "# Settings\n\n\
         Made from [`config.example.toml`](../config.example.toml); \
         `QIMATE_UPDATE_DOCS=1 cargo test --test it the_reference` makes it anew.\n",
    );
    let mut section = String::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in example.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.strip_prefix(' ').unwrap_or(text));
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            let _ = write!(page, "\n## [{section}]\n");
            take_prose(&mut page, &mut comment);
            // A table of the administrator's own: it has no keys of ours.
            if section.contains('.') {
                let _ = write!(page, "\nVariable (JSON): `{}`\n", variable(&section));
            }
        } else if let Some((key, default)) = line.split_once(" = ") {
            let key = format!("{section}.{key}");
            let _ = write!(page, "\n### {key}\n");
            take_prose(&mut page, &mut comment);
            let _ = write!(page, "\nDefault: `{default}` · variable: `{}`\n", variable(&key));
        } else {
            // The head of the file, and examples below the last key, end with an empty line.
            take_prose(&mut page, &mut comment);
        }
    }
    page
}

fn variable(key: &str) -> String {
    format!("QIMATE_{}", key.to_uppercase().replace('.', "__"))
}

fn take_prose(page: &mut String, comment: &mut Vec<&str>) {
    if comment.is_empty() {
        return;
    }
    page.push('\n');
    for line in comment.drain(..) {
        // What stands in angle brackets would be taken for HTML and vanish.
        page.push_str(&line.trim_end().replace('<', "&lt;"));
        page.push('\n');
    }
}

#[test]
fn the_reference_is_the_example() {
    let made = reference(include_str!("../../../config.example.toml"));
    let path = root().join("docs/configuration.md");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &made).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == made, "docs/configuration.md is not made of config.example.toml: run with {UPDATE}=1");
}

#[test]
fn the_openapi_document_is_made_of_the_routes() {
    let made = format!("{:#}\n", qimate::web::admin::openapi::document());
    let path = root().join("docs/openapi.json");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &made).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == made, "docs/openapi.json is not made of the routes: run with {UPDATE}=1");
}

/// No address is added beside those that the document knows: only the frame gives any to the router.
#[test]
fn no_address_is_added_beside_the_document() {
    let mut seen = 0;
    for entry in fs::read_dir(root().join("src/web/admin")).unwrap() {
        let path = entry.unwrap().path();
        let adds = fs::read_to_string(&path).unwrap().matches(".route(").count();
        // Every route of the table, and three for what is not there.
        let expected = if path.ends_with("mod.rs") { 4 } else { 0 };
        assert_eq!(adds, expected, "{}: add to `routes()` instead", path.display());
        seen += 1;
    }
    assert!(seen > 10, "the test reads what it thinks it reads");
}
