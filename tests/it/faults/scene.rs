//! A company in which something goes wrong, and the books that are kept about it: who was told yes, and what every
//! phone showed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use qimate::{
    clock::Timestamp,
    config::{Config, chat::Language},
    sandbox::{
        emulator::{Delivered, Emulator},
        model::ModelReply,
    },
    store::outbox::DUPLICATE_CHECK,
};
use rusqlite::Connection;

use super::table::Row;
use crate::harness::{App, Logs, within};

/// How an answer begins that breaks off: a paragraph that is sent, and a sentence that is not finished.
pub const BEGINNING: &str = "The first paragraph, which is long enough to be sent.\n\nThe second begins";

/// The answer to a question: it names the question, so that at the phone each is known from the others.
pub fn answer_to(question: &str) -> String {
    format!("Here is the answer to {question}, whole.")
}

/// A model that answers.
pub fn answers(body: &serde_json::Value) -> ModelReply {
    ModelReply::Answer(answer_to(question(body)))
}

/// The question of a request.
pub fn question(body: &serde_json::Value) -> &str {
    body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap()
}

/// Who said what, where WeCom was told yes: the questions of each member, in order.
#[derive(Default)]
pub struct Books {
    said: BTreeMap<String, Vec<String>>,
}

impl Books {
    /// A member asks something; it is in the books if WeCom was told yes, which is returned.
    pub async fn ask(&mut self, wecom: &Emulator, member: &str) -> bool {
        let question = self.next_question(member);
        let accepted = wecom.say(member, &question).await.accepted();
        if accepted {
            self.note(member, question);
        }
        accepted
    }

    /// A question that nobody asked before.
    pub fn next_question(&self, member: &str) -> String {
        format!("〔{member}.{}〕", self.said.get(member).map_or(0, Vec::len))
    }

    pub fn note(&mut self, member: impl Into<String>, question: impl Into<String>) {
        self.said.entry(member.into()).or_default().push(question.into());
    }

    /// How many questions are in the books.
    pub fn len(&self) -> usize {
        self.said.values().map(Vec::len).sum()
    }

    /// How many questions came to nothing: neither an answer, nor a sentence with a reference.
    pub fn lost(&self, shown: &[Delivered]) -> usize {
        let shown = by_member(shown);
        let lost = |(member, questions): (&String, &Vec<String>)| {
            let texts = shown.get(member.as_str()).map_or([].as_slice(), Vec::as_slice);
            let answered = |question: &&String| texts.iter().any(|text| text.contains(&answer_to(question)));
            let unanswered = questions.len() - questions.iter().filter(answered).count();
            let sentences: usize = texts.iter().map(|text| references(text).len()).sum();
            unanswered.saturating_sub(sentences)
        };
        self.said.iter().map(lost).sum()
    }

    /// Every reference that a member was given must be one that the log knows.
    pub fn check_references(shown: &[Delivered], is_logged: impl Fn(&str) -> bool) {
        for reference in shown.iter().flat_map(|one| references(&one.content)) {
            assert!(is_logged(&reference), "the log does not know {reference}");
        }
    }

    /// How often a phone showed something again.
    pub fn twice(&self, shown: &[Delivered]) -> usize {
        // Equal texts on purpose differ by an invisible mark, as long as WeCom's duplicate check would take them for one.
        let mut seen = HashMap::new();
        let same = shown.iter().filter(|one| {
            let before: Option<Timestamp> = seen.insert((&one.member, &one.content), one.at);
            before.is_some_and(|before| one.at.since(before) < DUPLICATE_CHECK)
        });
        let same = same.count();
        let shown = by_member(shown);
        let answered_again = |(member, questions): (&String, &Vec<String>)| -> usize {
            let texts = shown.get(member.as_str()).map_or([].as_slice(), Vec::as_slice);
            let count = |question| texts.iter().map(|text| text.matches(&answer_to(question)).count()).sum::<usize>();
            questions.iter().map(|question| count(question).saturating_sub(1)).sum()
        };
        same + self.said.iter().map(answered_again).sum::<usize>()
    }

    /// What the members of these books heard up to now, in words; each different way once.
    pub fn hears(&self, shown: &[Delivered]) -> String {
        let shown = by_member(shown);
        let mut ways = BTreeSet::new();
        for (member, questions) in &self.said {
            let texts = shown.get(member.as_str()).map_or([].as_slice(), Vec::as_slice);
            let mut heard: Vec<_> = texts.iter().map(|text| in_words(questions, text)).collect();
            heard.dedup();
            ways.insert(if heard.is_empty() { "nothing".to_owned() } else { heard.join(", then ") });
        }
        ways.into_iter().collect::<Vec<_>>().join("; or ")
    }
}

/// What each member was shown.
fn by_member(shown: &[Delivered]) -> HashMap<&str, Vec<&str>> {
    let mut texts: HashMap<&str, Vec<&str>> = HashMap::new();
    for one in shown {
        texts.entry(&one.member).or_default().push(&one.content);
    }
    texts
}

/// A text as it stands in the table.
fn in_words(questions: &[String], text: &str) -> String {
    if questions.iter().any(|question| text.contains(&answer_to(question))) {
        return "the answer".to_owned();
    }
    let mut text = text.trim_end_matches(['\u{200B}', '\u{200C}']).to_owned();
    if let Some((first, second)) = BEGINNING.split_once("\n\n") {
        text = text.replace(first, "(the first paragraph)").replace(second, "(the beginning of the second)");
    }
    for reference in references(&text) {
        text = text.replace(&reference, "…");
    }
    let text = text.split('\n').filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    if text.starts_with('(') { text } else { format!("“{text}”") }
}

/// The references in a text of the bot's own.
fn references(text: &str) -> Vec<String> {
    text.split("Reference ")
        .skip(1)
        .map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect())
        .collect()
}

/// A daemon in this process, its log and its books.
pub struct Scene {
    pub app: App,
    pub books: Books,
    logs: Logs,
    conn: Connection,
}

impl Scene {
    /// Everything is well. Nobody is told that it takes a while: how fast this machine is must not show in the table.
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub async fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        let logs = Logs::capture_up_to(tracing::Level::INFO);
        let app = App::start_with(|config| {
            config.chat.language = Language::English;
            config.chat.slow_notice = None;
            config.chat.backlog_notice = 0;
            change(config);
        })
        .await;
        app.model.set_script(answers);
        let conn = app.database();
        Self { app, books: Books::default(), logs, conn }
    }

    /// A member asks, and WeCom is told yes.
    pub async fn ask(&mut self, member: &str) {
        assert!(within(self.books.ask(&self.app.wecom, member)).await, "{member} was not acknowledged");
    }

    /// Waits until the log has a line with these words.
    pub async fn until_logged(&self, words: &[&str]) {
        self.pass_until(|| !self.logs.with(words).is_empty()).await;
    }

    pub fn logged(&self, words: &[&str]) -> usize {
        self.logs.with(words).len()
    }

    /// Lets time pass, much faster than outside, until it is so. Everybody but the disk lives on this thread: however
    /// slow the machine is, nobody here misses what the clock shows.
    pub async fn pass_until(&self, so: impl Fn() -> bool) {
        within(async {
            while !so() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.app.clock.advance(Duration::from_millis(20));
            }
        })
        .await;
    }

    /// Waits, without time passing, until it is so.
    pub async fn wait_until(&self, so: impl Fn() -> bool) {
        within(async {
            while !so() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    /// Waits until no answer of WeCom's is waited for: then time may pass without one coming too late.
    pub async fn nothing_under_way(&self) {
        self.wait_until(|| self.count("SELECT COUNT(*) FROM outbox_lane WHERE lease IS NOT NULL") == 0).await;
    }

    /// Lets time pass until nobody is owed anything.
    pub async fn pass_until_settled(&self) {
        self.pass_until(|| self.owed() == 0).await;
    }

    fn owed(&self) -> i64 {
        self.count(
            "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'open')
                  + (SELECT COUNT(*) FROM outbox WHERE state = 'waiting')",
        )
    }

    pub fn count(&self, sql: &str) -> i64 {
        self.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The trouble is over: what is owed is done, and a next question of every member and of a new one is answered. Gives
    /// the row.
    pub async fn ends(mut self, fault: String, recovered: impl Into<String>) -> Row {
        self.pass_until_settled().await;
        let hears = self.books.hears(&self.app.wecom.delivered());
        let mut members: Vec<String> = self.books.said.keys().take(3).cloned().collect();
        members.push("somebody-new".to_owned());
        for member in members {
            let question = self.books.next_question(&member);
            self.ask(&member).await;
            self.pass_until_settled().await;
            let texts = self.app.wecom.messages_for(&member);
            let answered = texts.iter().any(|text| text.content.contains(&answer_to(&question)));
            assert!(answered, "{member} is not answered afterwards: {texts:#?}");
        }
        let shown = self.app.wecom.delivered();
        let counters = self.app.wecom.counters();
        assert_eq!((counters.over_rate, counters.cut), (0, 0), "WeCom swallowed something");
        assert_eq!(self.count("SELECT COUNT(*) FROM outbox WHERE state = 'dead'"), 0, "a dead letter is left");
        let (lost, twice) = (self.books.lost(&shown), self.books.twice(&shown));
        Books::check_references(&shown, |reference| !self.logs.with(&[reference]).is_empty());
        self.app.stop().await;
        Row { fault, hears, lost, twice, recovered: recovered.into() }
    }
}
