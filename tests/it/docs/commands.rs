//! Every command that a document tells somebody to type.
//!
//! Those of Qimate are run here, in the order of the document, beside a daemon that serves. The others are run where
//! the table says; what no test can run on one machine stands there too, with the reason.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use qimate::vault::MasterKey;

use super::root;
use crate::{company::Company, harness::free_port};

/// What runs a command that begins so; the longest beginning counts.
enum Proof {
    /// A file that holds these words.
    In(&'static str, &'static str),
    /// Nothing on this machine.
    Untried(&'static str),
}
use Proof::{In, Untried};

const OTHERS: &[(&str, Proof)] = &[
    ("cargo run --release -- demo", In(".ci/run", "demo --say")),
    ("cargo test", In(".ci/run", "cargo test --locked")),
    ("cargo build --release", In(".ci/run", "cargo build --locked --release")),
    ("cargo bench", In(".ci/run", "cargo bench --locked")),
    ("curl --oauth2-bearer", In("tests/it/administration/documented.rs", "every_curl_command")),
    ("curl --json", In("tests/it/administration/documented.rs", "the_way_to_the_first_session")),
    ("qrencode", Untried("draws in a terminal; the address that it draws is that of the answer")),
    ("docker compose", In("tests/it/deployment/compose.rs", "docker-compose")),
    ("DOMAIN=", In("tests/it/deployment/caddy.rs", "relay.Caddyfile")),
    ("docker build", Untried("no engine; tests/it/deployment/image.rs makes the image's root and runs it")),
    ("docker run", Untried("no engine; the same")),
    ("sudo systemctl", Untried("no running systemd; tests/it/deployment/service.rs lets systemd check the unit")),
    ("journalctl", Untried("no running systemd")),
    ("sudo install", Untried("changes the machine")),
    ("sudo cp", Untried("changes the machine")),
    ("sudo sh -c", Untried("no running systemd")),
    ("git pull", Untried("there is nothing to pull from")),
    ("railway ssh", Untried("nothing runs on Railway")),
    ("ssh -N", Untried("there is no other machine")),
];

/// Commands of Qimate that go on until they are ended, or that ask a person: stories of their own run them.
const STORIES: &[(&str, Proof)] = &[
    ("", In("tests/it/process.rs", "\"serve\"")),
    ("serve", In("tests/it/process.rs", "\"serve\"")),
    ("demo", In("tests/it/setup.rs", "--set-up")),
    ("init", In("tests/it/setup.rs", "init")),
];

fn documents() -> Vec<PathBuf> {
    let of_docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut documents: Vec<_> = of_docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    documents.push(root().join("README.md"));
    documents.sort();
    documents
}

/// The commands in the `sh` blocks of a document: continued lines joined, comments and settings left out.
fn typed(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    let mut pending = String::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("```") {
            inside = line == "```sh";
            continue;
        }
        if !inside || line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(part) => pending.push_str(part),
            None => {
                let command = std::mem::take(&mut pending) + line;
                let command = command.split("  #").next().unwrap_or_default().trim().to_owned();
                let (first, more) = command.split_once(' ').unwrap_or((command.as_str(), ""));
                let sets_a_value = first.contains('=') && (more.is_empty() || first.contains(['\'', '"']));
                if !sets_a_value {
                    commands.push(command);
                }
            }
        }
    }
    commands
}

/// The arguments of a command of Qimate.
fn of_qimate(command: &str) -> Option<&str> {
    match command.strip_prefix("qimate") {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix(' '),
        None => None,
    }
}

fn proof<'a>(table: &'a [(&str, Proof)], command: &str) -> Option<&'a Proof> {
    let fitting = table.iter().filter(|(beginning, _)| command.starts_with(beginning));
    fitting.max_by_key(|(beginning, _)| beginning.len()).map(|(_, proof)| proof)
}

#[test]
fn every_other_command_has_something_that_runs_it() {
    let mut seen = 0;
    for document in documents() {
        for command in typed(&fs::read_to_string(&document).unwrap()) {
            if of_qimate(&command).is_some() {
                continue;
            }
            seen += 1;
            match proof(OTHERS, &command) {
                Some(In(file, words)) => {
                    let text = fs::read_to_string(root().join(file)).unwrap();
                    assert!(text.contains(words), "{command}: {file} does not run it");
                }
                Some(Untried(reason)) => assert!(!reason.is_empty()),
                None => panic!("{}: nothing runs this command: {command}", document.display()),
            }
        }
    }
    assert!(seen > 20, "the test reads what it thinks it reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_qimate_is_run() {
    let mut seen = BTreeSet::new();
    for document in documents() {
        let commands: Vec<_> = typed(&fs::read_to_string(&document).unwrap())
            .into_iter()
            .filter_map(|command| of_qimate(&command).map(str::to_owned))
            .collect();
        let to_run = |command: &String| !STORIES.iter().any(|(story, _)| command.split(' ').next() == Some(story));
        if !commands.iter().any(to_run) {
            continue;
        }
        // Fixed, so that `status` finds the daemon.
        let operations = format!("127.0.0.1:{}", free_port());
        let master_key = MasterKey::draw().unwrap().1;
        let variables =
            [("QIMATE_SERVER__OPERATIONS_LISTEN", &*operations), ("QIMATE_SECRETS__MASTER_KEY", master_key.expose())];
        let mut company = Company::open(&variables).await;
        // What a document says that it is put in from.
        fs::write(company.dir.path().join("wecom-secret.txt"), "a-secret\n").unwrap();
        let backups = company.dir.path().join("backups");
        fs::create_dir(&backups).unwrap();
        company.start().await;
        assert!(company.wecom.say("zhangsan", "你好").await.accepted());
        company.wecom.wait_delivered(|all| !all.is_empty()).await;
        for command in commands.iter().filter(|command| to_run(command)) {
            let placed = command.replace("/backups", &backups.display().to_string());
            // What stands in quotes is one argument.
            let arguments: Vec<&str> = placed
                .split('"')
                .enumerate()
                .flat_map(|(place, part)| if place % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
                .collect();
            // The documents say that the daemon is stopped first.
            let stopped = arguments[0] == "restore";
            if stopped {
                assert!(company.terminate().await.success());
            }
            let output = company.run(&arguments).await;
            let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            // Exit code 1 of these is an answer: something is not well, something would be changed.
            let may_find = matches!(arguments[0], "doctor" | "migrate");
            let fine = output.status.success() || may_find && output.status.code() == Some(1);
            assert!(fine, "{}: qimate {command}: {}\n{told}", document.display(), output.status);
            if stopped {
                company.start().await;
            }
            seen.insert(arguments[0].to_owned());
        }
    }
    for command in ["backup", "dead-letters", "doctor", "member", "migrate", "restore", "status"] {
        assert!(seen.contains(command), "no document shows qimate {command}");
    }
}

#[test]
fn what_runs_until_it_is_ended_has_a_story() {
    for (_, proof) in STORIES {
        let In(file, words) = proof else { panic!("a story is a file") };
        assert!(fs::read_to_string(root().join(file)).unwrap().contains(words), "{file}: {words}");
    }
}

/// Commands in a sentence or a table: the subcommand and its flags exist.
#[tokio::test]
async fn commands_in_sentences_exist() {
    let company = Company::open(&[]).await;
    let help = |arguments: Vec<String>| {
        let company = &company;
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--help"]).collect();
            let output = tokio::time::timeout(Duration::from_secs(20), company.run(&arguments)).await.unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
        }
    };
    let mut seen = BTreeSet::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for span in text.split('`').skip(1).step_by(2).filter(|span| !span.contains('\n')) {
            let Some(arguments) = of_qimate(span) else { continue };
            let words: Vec<&str> =
                arguments.split([' ', '[', ']', '|', '\\']).filter(|word| !word.is_empty()).collect();
            let Some(command) = words.first().filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
            else {
                continue;
            };
            if !seen.insert(arguments.to_owned()) || command.starts_with('-') {
                continue;
            }
            let (known, mut told) = help(vec![(*command).to_owned()]).await;
            assert!(known, "{}: there is no `qimate {command}`", document.display());
            for action in words.iter().skip(1).filter(|word| word.chars().all(|c| c.is_ascii_lowercase())) {
                let (known, more) = help(vec![(*command).to_owned(), (*action).to_owned()]).await;
                if known {
                    told += &more;
                }
            }
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(told.contains(flag), "{}: `qimate {arguments}`: no {flag}", document.display());
            }
        }
    }
    assert!(seen.len() > 15, "the test reads what it thinks it reads: {seen:?}");
}
