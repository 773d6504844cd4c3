//! The wall between the rooms: a room imports only from the floors beneath it.

mod advisories;
mod dangerous;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The floors of `docs/architecture.md`, from the top. Rooms of one floor do not know each other.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["server"],
    &["web", "sandbox"],
    &["chat", "doctor", "api", "admin"],
    &["wecom", "meter", "alert"],
    &["store", "llm", "mcp"],
    &["config"],
    &["model", "safety", "vault"],
    &["net"],
    &["clock", "secret", "metrics", "media"],
];

/// Arrows that the floors would allow and the house does not: who, and what of the crate it must not use.
const FORBIDDEN: &[(&str, &[&str])] = &[
    // It plays WeCom from outside: of the protocol it may use the cryptography, of us nothing else.
    ("sandbox", &["chat", "doctor", "api", "admin", "store", "meter", "alert", "llm", "mcp", "config"]),
    ("wecom", &["store", "llm", "mcp"]),
    ("meter", &["mcp"]),
    ("alert", &["llm", "mcp"]),
    ("doctor", &["meter", "alert"]),
    ("api", &["wecom", "alert", "mcp"]),
    ("admin", &["wecom", "alert", "meter", "llm", "mcp"]),
    ("store", &["llm"]),
    ("web", &["llm", "meter", "mcp"]),
];

/// Crates that only some rooms may import.
const CRATES: &[(&str, &[&str])] = &[
    ("axum", &["web", "sandbox", "server"]),
    ("hyper", &["server"]),
    ("tokio_rustls", &["server"]),
    ("x509_cert", &["server"]),
    ("instant_acme", &["server"]),
    ("rcgen", &["server"]),
    ("quick_xml", &["wecom"]),
    ("rusqlite", &["store"]),
    ("argon2", &["admin"]),
    ("prometheus_client", &["metrics"]),
    ("jiff", &["clock"]),
    // The demo model says how large the pictures are that it was given.
    ("image", &["media", "sandbox"]),
    ("codec_core", &["media"]),
    ("regex", &["safety"]),
    ("tiktoken_rs", &["llm"]),
    ("zeroize", &["vault"]),
    ("schemars", &["web", "admin", "model"]),
    ("anyhow", &["main", "server", "sandbox"]),
];

struct Line {
    file: PathBuf,
    number: usize,
    room: String,
    text: String,
}

fn floor(room: &str) -> usize {
    FLOORS.iter().position(|rooms| rooms.contains(&room)).unwrap_or_else(|| panic!("no floor for room {room}"))
}

fn source_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("source directory").map(|entry| entry.expect("entry").path()) {
        if entry.is_dir() {
            source_files(&entry, files);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
}

/// Lines of code outside test modules; `use crate::{...}` over several lines counts as one line.
fn lines() -> Vec<Line> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&src, &mut files);
    let mut lines = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&src).expect("in src");
        let first = relative.components().next().expect("name").as_os_str().to_string_lossy().into_owned();
        let room = first.trim_end_matches(".rs").to_owned();
        // Files that only tests compile.
        let only_tests = relative.file_stem().is_some_and(|stem| stem == "tests" || stem == "fake");
        if room == "lib" || only_tests {
            continue;
        }
        let text = fs::read_to_string(&file).expect("readable");
        let code = text.split("#[cfg(test)]").next().expect("text");
        let mut pending: Option<Line> = None;
        for (index, raw) in code.lines().enumerate() {
            let raw = raw.split("//").next().expect("line");
            match &mut pending {
                Some(line) => line.text.push_str(raw.trim()),
                None => {
                    let text = raw.trim().to_owned();
                    pending = Some(Line { file: relative.to_owned(), number: index + 1, room: room.clone(), text });
                }
            }
            let open = pending.as_ref().is_some_and(|line| {
                line.text.starts_with("use ") && !line.text.ends_with(';')
                    || line.text.starts_with("pub use ") && !line.text.ends_with(';')
            });
            if !open {
                lines.extend(pending.take());
            }
        }
    }
    lines
}

/// The rooms that a line names: `crate::room`, and each `room` of `use crate::{room::..., room}`.
fn rooms_named(line: &Line) -> Vec<String> {
    let prefix = if line.room == "main" { "qimate::" } else { "crate::" };
    let mut rooms = Vec::new();
    for (at, _) in line.text.match_indices(prefix) {
        let rest = &line.text[at + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.push(std::mem::take(&mut item)),
                    _ => {}
                }
                if depth == 0 && !matches!(c, ',' | '{' | '}') {
                    item.push(c);
                }
            }
            rooms.push(item);
        } else {
            rooms.push(rest.to_owned());
        }
    }
    let name = |item: &String| item.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let known = |room: &String| FLOORS.iter().flat_map(|rooms| rooms.iter()).any(|known| known == room);
    rooms.iter().map(name).filter(known).collect()
}

#[test]
fn rooms_import_only_from_floors_beneath_them() {
    let mut wrong = Vec::new();
    let mut arrows = BTreeMap::new();
    for line in lines() {
        for named in rooms_named(&line).into_iter().filter(|named| *named != line.room) {
            *arrows.entry((line.room.clone(), named.clone())).or_insert(0) += 1;
            let beneath = floor(&named) > floor(&line.room);
            let forbidden = FORBIDDEN.iter().any(|(room, not)| *room == line.room && not.contains(&named.as_str()));
            if !beneath || forbidden {
                wrong.push(format!("src/{}:{}: {} -> {named}", line.file.display(), line.number, line.room));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the house does not have:\n{}", wrong.join("\n"));
    // The test reads what it thinks it reads: these arrows exist.
    for (from, to) in [("chat", "wecom"), ("meter", "llm"), ("server", "chat"), ("main", "server"), ("store", "model")]
    {
        assert!(arrows.contains_key(&(from.to_owned(), to.to_owned())), "{from} -> {to} was not seen");
    }
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for line in lines() {
        for (name, rooms) in CRATES {
            if line.text.contains(&format!("{name}::")) && !rooms.contains(&line.room.as_str()) {
                wrong.push(format!("src/{}:{}: {name} in {}", line.file.display(), line.number, line.room));
            }
        }
        if line.text.contains("env::var") && line.room != "config" {
            wrong.push(format!("src/{}:{}: reads the environment", line.file.display(), line.number));
        }
        if line.text.contains("StatusCode") && !matches!(line.room.as_str(), "web" | "sandbox" | "llm" | "wecom") {
            wrong.push(format!("src/{}:{}: knows HTTP status codes", line.file.display(), line.number));
        }
        if line.room == "model" && line.text.contains("async fn") {
            wrong.push(format!("src/{}:{}: model has an async function", line.file.display(), line.number));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A file that is longer does two things.
const MOST_LINES: usize = 400;

#[test]
fn no_file_is_too_long_to_be_read_at_once() {
    let mut files = Vec::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    source_files(&source, &mut files);
    let long = files.iter().filter_map(|path| {
        let lines = fs::read_to_string(path).expect("source file").lines().count();
        let file = path.strip_prefix(&source).expect("a file of src");
        (lines > MOST_LINES).then(|| format!("src/{}: {lines} lines", file.display()))
    });
    let long: Vec<_> = long.collect();
    assert!(long.is_empty(), "more than {MOST_LINES} lines; give the second thing in it a file:\n{}", long.join("\n"));
    assert!(files.len() > 100, "the test reads what it thinks it reads");
}
