//! Questions and answers: at a terminal, with secrets that do not show, or line by line from a pipe.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, bail};
use tokio::task::JoinHandle;

use super::Language;

/// What a shell expects of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Where the answers come from.
#[derive(Debug)]
pub(super) struct Terminal {
    is_terminal: bool,
    language: Language,
    /// Whether the terminal shows nothing at the moment. Whoever ends the process now would leave it so.
    is_hidden: Arc<AtomicBool>,
    /// Ends the process on Ctrl-C while a person is asked.
    interrupt: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Looks whether a person types or a pipe brings the lines.
    pub(super) fn new(language: Language) -> Self {
        let is_terminal = io::stdin().is_terminal();
        let is_hidden = Arc::new(AtomicBool::new(false));
        let interrupt = is_terminal.then(|| tokio::spawn(end_on_interrupt(Arc::clone(&is_hidden))));
        Self { is_terminal, language, is_hidden, interrupt }
    }

    /// Leaves Ctrl-C to others: there are no more questions.
    pub(super) fn leave_interrupts(&mut self) {
        if let Some(task) = self.interrupt.take() {
            task.abort();
        }
    }

    /// Says something, with a line end.
    pub(super) fn say(&self, text: &str) {
        // Whoever closed the output does not want to read it.
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// Asks, and returns the line without white space around it.
    ///
    /// # Errors
    /// The input has ended, or Ctrl-C was pressed.
    pub(super) fn ask(&mut self, prompt: &str) -> anyhow::Result<String> {
        self.prompt(prompt);
        self.line()
    }

    /// The same for a secret: what is typed does not show.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub(super) fn ask_secret(&mut self, prompt: &str) -> anyhow::Result<String> {
        if !self.is_terminal {
            return self.ask(prompt);
        }
        self.prompt(prompt);
        self.is_hidden.store(true, Ordering::SeqCst);
        let text = rpassword::read_password();
        self.is_hidden.store(false, Ordering::SeqCst);
        let text = text.context(self.language.pick("没有读到输入", "nothing could be read"))?;
        Ok(text.trim().to_owned())
    }

    /// A question for yes or no. An empty line means `default`; what is neither is asked again.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub(super) fn confirm(&mut self, question: &str, default: bool) -> anyhow::Result<bool> {
        let choices = if default { "[Y/n]" } else { "[y/N]" };
        loop {
            match self.ask(&format!("{question} {choices} "))?.to_lowercase().as_str() {
                "" => return Ok(default),
                "y" | "yes" | "是" => return Ok(true),
                "n" | "no" | "否" => return Ok(false),
                _ => self.say(self.language.pick("  请输入 y 或 n。", "  Please answer y or n.")),
            }
        }
    }

    fn prompt(&self, prompt: &str) {
        let mut out = io::stdout();
        let _ = write!(out, "{prompt}");
        let _ = out.flush();
    }

    fn line(&self) -> anyhow::Result<String> {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        if !self.is_terminal {
            // Nobody pressed Enter on this side.
            self.say("");
        }
        match read.context(self.language.pick("没有读到输入", "nothing could be read"))? {
            0 => bail!(self.language.pick(
                "输入已结束，问题还没有答完；没有写入任何文件",
                "the input ended before everything was answered; nothing was written"
            )),
            _ => Ok(line.trim().to_owned()),
        }
    }
}

/// While a secret is read, Ctrl-C is a character of the terminal's: reading ends with an error, and the terminal shows
/// again what is typed. At any other time there is nothing to put right.
async fn end_on_interrupt(is_hidden: Arc<AtomicBool>) {
    while tokio::signal::ctrl_c().await.is_ok() {
        if !is_hidden.load(Ordering::SeqCst) {
            println!();
            process::exit(INTERRUPTED);
        }
    }
}
