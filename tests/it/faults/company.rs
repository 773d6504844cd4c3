//! The same books for the real binary.

use std::time::Duration;

use super::{
    scene::{Books, answers},
    table::Row,
};
use crate::{company::Company, harness::within_seconds};

/// A daemon that is a process of its own, and its books.
pub struct Firm {
    pub company: Company,
    pub books: Books,
}

impl Firm {
    /// Not started yet. Members are told nothing while they wait: how fast this machine is must not show in the table.
    pub async fn open(more: &[(&str, &str)]) -> Self {
        let always = [
            ("QIMATE_CHAT__LANGUAGE", "en"),
            ("QIMATE_CHAT__SLOW_NOTICE_SECONDS", "0"),
            ("QIMATE_CHAT__BACKLOG_NOTICE", "0"),
        ];
        let company = Company::open(&[&always, more].concat()).await;
        company.model.set_script(answers);
        company.wecom.set_retry_pause(Duration::from_millis(200));
        Self { company, books: Books::default() }
    }

    /// A member asks. Returns whether WeCom was told yes.
    pub async fn ask(&mut self, member: &str) -> bool {
        within_seconds(60, self.books.ask(&self.company.wecom, member)).await
    }

    /// Waits until everybody who was told yes has been told something.
    pub async fn settled(&self) {
        self.settled_within(60).await;
    }

    pub async fn settled_within(&self, seconds: u64) {
        within_seconds(seconds, async {
            while self.books.lost(&self.company.wecom.delivered()) > 0 {
                // Counting is work too, where there is much to count.
                tokio::time::sleep(Duration::from_millis(20 + self.books.len() as u64 / 10)).await;
            }
        })
        .await;
    }

    pub async fn until_logged(&self, words: &str) {
        within_seconds(60, async {
            while !self.company.has_logged(words) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Waits until `/readyz` answers with this status.
    pub async fn until_ready_is(&self, status: u16) -> String {
        within_seconds(60, async {
            loop {
                let (is, reason) = self.company.ready().await;
                if is == status {
                    return reason;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    /// The trouble is over: what is owed is done, and the next questions are answered. Gives the row.
    pub async fn ends(mut self, fault: String, recovered: impl Into<String>) -> Row {
        self.settled().await;
        let hears = self.books.hears(&self.company.wecom.delivered());
        for member in ["ann", "somebody-new"] {
            let before = self.company.wecom.messages_for(member).len();
            assert!(self.ask(member).await, "{member} is not acknowledged afterwards");
            self.settled().await;
            let texts = self.company.wecom.messages_for(member);
            assert!(texts[before..].iter().any(|text| text.content.contains("the answer to")), "{member}: {texts:#?}");
        }
        assert_eq!(self.company.ready().await.0, 200);
        assert!(self.company.terminate().await.success());
        let shown = self.company.wecom.delivered();
        let (lost, twice) = (self.books.lost(&shown), self.books.twice(&shown));
        Books::check_references(&shown, |reference| self.company.has_logged(reference));
        Row { fault, hears, lost, twice, recovered: recovered.into() }
    }
}

/// Whether a program is here.
pub fn has(program: &str) -> bool {
    std::process::Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Runs a program and says what went wrong, if something did.
pub fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = std::process::Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}
