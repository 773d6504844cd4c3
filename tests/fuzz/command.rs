//! A message is a command as a whole, or a message.

use proptest::{prop_assert, prop_assert_eq};
use qimate::chat::command::Command;

use crate::run::run;

#[test]
fn command() {
    run("command", &["/", "／", "new", "新对话", "#", "\u{3000}", "\u{200b}", "İ", "ſ"], |input| {
        let text = String::from_utf8_lossy(input);
        let command = Command::parse(&text);
        prop_assert_eq!(command, Command::parse(&format!("  {text}\n")), "white space around it");
        if command.is_some() {
            prop_assert!(text.trim().chars().count() <= 8, "no command is so long");
            for more in ["x", "。", " now"] {
                prop_assert_eq!(Command::parse(&format!("{}{more}", text.trim())), None, "it merely begins like one");
            }
        }
        Ok(())
    });
}
