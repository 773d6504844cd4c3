//! What opens a house: SQL made of values, programs that are started, certificates that nobody looks at. Each is in few
//! places, and a new one is a decision that is made here too.

use std::{fs, path::Path};

use super::{lines, source_files};

/// What may be put into the text of a statement beside constants (in capitals): names of columns and tables that stand
/// in the code, and pieces of SQL that are put together there of such. Never a value: values are parameters.
const PIECES: [(&str, &str); 13] = [
    ("store/db.rs", "synchronous"),
    ("store/ledger/read.rs", "columns"),
    ("store/ledger/renamed.rs", "columns"),
    ("store/ledger/renamed.rs", "name"),
    ("store/ledger/write.rs", "columns"),
    ("store/ledger/write.rs", "name"),
    ("store/member/erase.rs", "table"),
    ("store/member/mod.rs", "before"),
    ("store/member/mod.rs", "column"),
    ("store/member/mod.rs", "table"),
    ("store/people/change.rs", "column"),
    ("store/people/directory.rs", "table"),
    ("store/quota_requests/decided.rs", "column"),
];
/// The same, of what stands behind the text: `{}` is filled by these.
const CALLS: [&str; 4] = ["NAMES.join(\", \")", "added.join(\", \")", "sums()", "whom()"];

const SQL: [&str; 9] =
    ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "PRAGMA ", "FROM ", "WHERE ", "excluded.", "strftime("];

/// The code of a file, without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("readable");
    text.split("#[cfg(test)]").next().expect("text").to_owned()
}

/// Each `format!` of a file: its text, and what stands behind that.
fn formats(code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("format!(") {
        let rest = code[at + "format!(".len()..].trim_start();
        let Some(text) = rest.strip_prefix('"') else { continue };
        let mut escaped = false;
        let end = text.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (text, behind) = text.split_at(end.expect("an end"));
        let mut depth = 1;
        let end = behind.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        found.push((text.to_owned(), behind[1..end.expect("an end")].trim().to_owned()));
    }
    found
}

/// The names in braces of a text; `""` for `{}`.
fn holes(text: &str) -> Vec<&str> {
    let holes = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    holes.map(|(hole, _)| hole.split(':').next().expect("a name")).collect()
}

#[test]
fn values_reach_sql_as_parameters_alone() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&source.join("store"), &mut files);
    let (mut wrong, mut statements) = (Vec::new(), 0);
    for file in files {
        let name = file.strip_prefix(&source).expect("in src").display().to_string();
        if name.ends_with("/tests.rs") {
            continue;
        }
        for (text, behind) in formats(&code(&file)) {
            if !SQL.iter().any(|word| text.contains(word)) {
                continue;
            }
            statements += 1;
            let is_constant = |hole: &&str| hole.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            for hole in holes(&text) {
                let fits = match hole {
                    "" => CALLS.iter().any(|call| behind.contains(call)),
                    hole => is_constant(&hole) || PIECES.contains(&(name.as_str(), hole)),
                };
                if !fits {
                    wrong.push(format!("src/{name}: {{{hole}}} in {text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "values belong into parameters (?1):\n{}", wrong.join("\n"));
    assert!(statements > 20, "the test reads what it thinks it reads: {statements}");
}

#[test]
fn a_value_in_a_statement_is_found_out() {
    let code = r#"conn.execute(&format!("DELETE FROM member WHERE userid = '{userid}'"), [])?; format!("{}", one(2))"#;
    let found = formats(code);
    assert_eq!(found[0], ("DELETE FROM member WHERE userid = '{userid}'".to_owned(), String::new()));
    assert_eq!(found[1], ("{}".to_owned(), ", one(2)".to_owned()));
    assert_eq!(holes(&found[0].0), ["userid"]);
    assert_eq!(holes("{COLUMNS} {} {x:?}"), ["COLUMNS", "", "x"]);
}

/// What is there in these files alone; each with why.
const RARE: [(&str, &[&str]); 8] = [
    // An MCP program of the configuration, with its arguments one by one; and the daemon that the demo starts: ours.
    ("Command::new", &["mcp/program.rs", "sandbox/daemon.rs"]),
    // One way to build a client: proxy, roots, no redirects. The demo's own calls stay on this machine.
    ("Client::builder", &["net.rs", "net/fetch.rs"]),
    ("Client::new()", &[]),
    // Our own address on this machine, whose certificate is for another name; nothing secret is sent.
    ("danger_accept_invalid", &["net/trust.rs"]),
    ("Trust::Nobody", &["server/commands/mod.rs"]),
    ("danger_accept_invalid_hostnames", &[]),
    ("dangerous()", &[]),
    ("redirect::Policy::", &["net.rs"]),
];

/// WeCom's signature, the codes of authenticator apps, and names that only have to differ: of a repetition, a card and a
/// menu.
const SHA1: [&str; 7] = [
    "wecom/crypto.rs",
    "wecom/event.rs",
    "model/second_factor.rs",
    "chat/menu.rs",
    "chat/commands/cards.rs",
    "store/member/erase.rs",
    "sandbox/",
];

#[test]
fn what_is_dangerous_is_in_few_places() {
    let mut wrong = Vec::new();
    let mut seen = [false; RARE.len()];
    for line in lines() {
        let file = line.file.display().to_string();
        for (index, (words, files)) in RARE.iter().enumerate() {
            if line.text.contains(words) {
                seen[index] = true;
                // A demo on somebody's desk: it plays WeCom and the model, on loopback.
                let is_demo = line.room == "sandbox" && *words != "Command::new";
                if !files.contains(&file.as_str()) && !is_demo {
                    wrong.push(format!("src/{file}:{}: {words}", line.number));
                }
            }
        }
        for shell in ["\"sh\"", "\"bash\"", "\"/bin/sh\"", "\"cmd\"", "\"powershell\""] {
            if line.text.contains(&format!("new({shell})")) {
                wrong.push(format!("src/{file}:{}: a shell", line.number));
            }
        }
        for random in ["rand::", "thread_rng", "fastrand", "RandomState"] {
            if line.text.contains(random) && !line.text.contains("getrandom::") {
                wrong.push(format!(
                    "src/{file}:{}: {random}: what must not be guessed is drawn by getrandom",
                    line.number
                ));
            }
        }
        if line.text.contains("md5") || line.text.contains("Md5") {
            wrong.push(format!("src/{file}:{}: MD5", line.number));
        }
        if (line.text.contains("Sha1::") || line.text.contains("Sha1>"))
            && !SHA1.iter().any(|known| file.starts_with(known))
        {
            wrong.push(format!("src/{file}:{}: SHA-1", line.number));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for ((words, files), seen) in RARE.iter().zip(seen) {
        assert!(seen || files.is_empty(), "{words} was not seen: the test reads what it thinks it reads");
    }
}

#[test]
fn no_unsafe_code_is_taken() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("readable");
    assert!(manifest.contains("unsafe_code = \"forbid\""));
}
