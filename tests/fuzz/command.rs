//! A message is a command as a whole, a command with something behind it, or a message.

use proptest::{prop_assert, prop_assert_eq};
use qimate::model::command::{Argument, Command};

use crate::run::run;

#[test]
fn command() {
    const WORDS: &[&str] = &["/", "／", "new", "model", "/modle ", "新对话", "#", "\u{3000}", "\u{200b}", "İ", "ſ"];
    run("command", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        let asked = Command::parse(&text);
        let spaced = format!("  {text}\n");
        prop_assert_eq!(asked, Command::parse(&spaced), "white space around it");
        if let Some(asked) = asked {
            prop_assert!(text.trim().ends_with(asked.argument), "nothing of it is changed");
            if asked.argument.is_empty() {
                prop_assert!(text.trim().chars().count() <= 10, "no name is so long");
                for more in ["x", "。"] {
                    let longer = format!("{}{more}", text.trim());
                    prop_assert_eq!(Command::parse(&longer), None, "it merely begins like one");
                }
            } else {
                prop_assert!(asked.command.row().argument != Argument::None);
            }
        }
        if let Some(meant) = Command::meant(&text) {
            prop_assert!(Command::parse(meant).is_some() && !text.trim().contains(char::is_whitespace));
        }
        Ok(())
    });
}
