//! What one answer may call, and what it has read and called already.

use std::sync::Arc;

use serde_json::json;

use super::words;
use crate::{
    llm::{
        client::{ChatRequest, Message},
        tokens,
        tools::{Round, ToolCall, ToolSpec, Tooling as Request},
    },
    mcp::servers::Offer,
    store::steps::Step,
};

/// The name of the built-in tool.
pub(super) const READ_PAGE: &str = "read_web_page";
/// The longest name that every upstream takes.
const MOST_NAME: usize = 64;

/// Something that may be called.
#[derive(Debug)]
pub(super) enum Target {
    /// A page of the web.
    Page,
    /// A tool of a server.
    Server(Offer),
}

impl Target {
    /// What members know it by.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Page => "网页".to_owned(),
            Self::Server(Offer { server, tool }) => {
                format!("{server} {}", tool.title.as_deref().unwrap_or(&tool.name))
            }
        }
    }

    /// Whether it may be called again after a crash without asking anybody.
    pub(super) const fn changes_nothing(&self) -> bool {
        match self {
            Self::Page => true,
            Self::Server(offer) => offer.tool.read_only,
        }
    }
}

/// The work on one answer.
#[derive(Debug, Default)]
pub struct Work {
    specs: Arc<[ToolSpec]>,
    targets: Vec<Target>,
    pub(super) rounds: Vec<Round>,
    /// Stands behind the question: what its link leads to.
    pub(super) material: String,
    /// Stands behind the instructions of the house.
    note: String,
    /// Calls that were made.
    pub(super) made: u32,
    /// The number of the next step.
    pub(super) next: u32,
    pub(super) enough: bool,
}

impl Work {
    pub(super) fn new(reads_pages: bool, offers: Vec<Offer>, silent: &[Arc<str>]) -> Self {
        let mut specs = Vec::new();
        let mut targets = Vec::new();
        if reads_pages {
            specs.push(ToolSpec {
                name: READ_PAGE.to_owned(),
                description: "Reads the text of one public web page. Use it when the member names a page, or when the \
                              answer needs what stands on one. It cannot log in, search or open files."
                    .to_owned(),
                parameters: json!({
                    "type": "object",
                    "properties": {"url": {"type": "string", "description": "The page's address, with https://"}},
                    "required": ["url"],
                }),
            });
            targets.push(Target::Page);
        }
        for offer in offers {
            let name = name_of(&offer, &specs);
            let (description, parameters) = (offer.tool.description.clone(), offer.tool.parameters.clone());
            specs.push(ToolSpec { name, description, parameters });
            targets.push(Target::Server(offer));
        }
        let mut notes = Vec::new();
        if !specs.is_empty() {
            notes.push(words::GUARD.to_owned());
        }
        if !silent.is_empty() {
            notes.push(words::silent(silent));
        }
        Self { specs: specs.into(), targets, note: notes.join("\n\n"), ..Self::default() }
    }

    /// Whether there is anything about it that the model must know.
    pub(super) fn is_nothing(&self) -> bool {
        self.specs.is_empty() && self.note.is_empty() && self.material.is_empty() && self.rounds.is_empty()
    }

    /// Whether the model may call anything.
    pub fn offers(&self) -> bool {
        !self.specs.is_empty() && !self.enough
    }

    /// Whether nothing was called yet.
    pub fn is_fresh(&self) -> bool {
        self.made == 0
    }

    /// Whether the next request speaks of tools.
    pub fn has_tools(&self) -> bool {
        !self.specs.is_empty() || !self.rounds.is_empty()
    }

    /// What a name stands for.
    pub(super) fn target(&self, name: &str) -> Option<&Target> {
        let at = self.specs.iter().position(|spec| spec.name == name)?;
        self.targets.get(at)
    }

    /// The instructions of the house, with what is to be said about tools.
    pub fn system(&self, system: &str) -> String {
        joined(system, &self.note)
    }

    /// The question with what its link leads to.
    pub fn question(&self, question: &str) -> String {
        joined(question, &self.material)
    }

    /// The request with these messages, and about how many tokens it has beside them.
    pub fn request(&self, messages: Vec<Message>) -> (ChatRequest, usize) {
        let texts = self.rounds.iter().flat_map(|round| &round.results);
        let tokens = texts.map(|(call, result)| tokens::estimate(&call.arguments) + tokens::estimate(result)).sum();
        let tooling = Request { offers: Arc::clone(&self.specs), rounds: self.rounds.clone(), enough: self.enough };
        let tooling = self.has_tools().then(|| Box::new(tooling));
        (ChatRequest { tooling, ..ChatRequest::of(messages) }, tokens)
    }

    /// Goes on without tools, because the model takes none: what was found so far becomes words.
    pub fn forgo(&mut self) {
        for (call, result) in self.rounds.drain(..).flat_map(|round| round.results) {
            self.material = joined(&self.material, &format!("{}: {result}", call.name));
        }
        self.specs = Arc::default();
        self.targets.clear();
    }

    /// Takes over what was done before a crash.
    pub(super) fn resume(&mut self, step: Step) {
        self.next = self.next.max(step.number + 1);
        self.made += 1;
        let call = ToolCall { id: step.call, name: step.tool, arguments: step.arguments };
        let result = (call, step.result.unwrap_or_default());
        // Rounds are numbered from 1.
        if self.rounds.len() < step.round as usize {
            self.rounds.push(Round { text: String::new(), thought: step.thought, results: Vec::new() });
        }
        if let Some(round) = self.rounds.last_mut() {
            round.results.push(result);
        }
    }
}

fn joined(first: &str, second: &str) -> String {
    match (first.is_empty(), second.is_empty()) {
        (false, false) => format!("{first}\n\n{second}"),
        _ => format!("{first}{second}"),
    }
}

/// The server's name and the tool's, in letters that every upstream takes, and no name twice.
fn name_of(offer: &Offer, before: &[ToolSpec]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = format!("{}_{}", offer.server, offer.tool.name).chars().map(plain).take(MOST_NAME).collect();
    let is_taken = |name: &str| before.iter().any(|spec| spec.name == name);
    let numbered = (2..).map(|number: u32| {
        let number = format!("_{number}");
        format!("{}{number}", &name[..name.len().min(MOST_NAME - number.len())])
    });
    std::iter::once(name.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::client::Tool;

    fn offer(server: &str, name: &str) -> Offer {
        let tool = Tool {
            name: name.to_owned(),
            title: None,
            description: String::new(),
            parameters: json!({}),
            read_only: false,
        };
        Offer { server: server.into(), tool }
    }

    #[test]
    fn names_are_such_as_every_upstream_takes_and_none_comes_twice() {
        let long = "x".repeat(80);
        let offers = vec![
            offer("crm", "find.customer"),
            offer("crm", "find/customer"),
            offer("crm", &long),
            offer("crm", &long),
        ];
        let work = Work::new(true, offers, &[]);
        let names: Vec<&str> = work.specs.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(names[..3], ["read_web_page", "crm_find_customer", "crm_find_customer_2"]);
        assert!(names[3..].iter().all(|name| name.len() == 64) && names[3] != names[4], "{names:?}");
        assert!(
            matches!(work.target("crm_find_customer_2"), Some(Target::Server(offer)) if offer.tool.name == "find/customer")
        );
        assert!(work.target("find/customer").is_none());
    }

    #[test]
    fn a_model_that_takes_no_tools_is_given_what_was_found_as_words() {
        let mut work = Work::new(true, Vec::new(), &[]);
        let step = |number, round, result: &str| Step {
            number,
            round,
            tool: READ_PAGE.to_owned(),
            result: Some(result.to_owned()),
            ..Step::default()
        };
        work.resume(step(0, 1, "one"));
        work.resume(step(1, 1, "two"));
        work.resume(step(2, 2, "three"));
        assert_eq!(work.rounds.iter().map(|round| round.results.len()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((work.made, work.next), (3, 3));
        work.forgo();
        let (request, _) = work.request(Vec::new());
        assert_eq!(request.tooling, None);
        assert_eq!(work.question("?"), "?\n\nread_web_page: one\n\nread_web_page: two\n\nread_web_page: three");
    }
}
