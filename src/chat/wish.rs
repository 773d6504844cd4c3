//! Whether a message wishes for a picture, and what should be in it.

/// Commands for it, with what the picture shows behind them.
const COMMANDS: [&str; 5] = ["/image", "/draw", "/画图", "/画", "#画"];
/// How a message begins that wishes for a picture in plain words. 画 alone is not enough: 画蛇添足 is a question.
const WORDS: [&str; 20] = [
    "画一",
    "画个",
    "画张",
    "画幅",
    "画只",
    "画条",
    "画朵",
    "画座",
    "画两",
    "画几",
    "画：",
    "画:",
    "画 ",
    "请画",
    "帮我画",
    "给我画",
    "请帮我画",
    "请给我画",
    "生成一张图",
    "生成图片",
];
/// What ends a message that asks about pictures and does not wish for one.
const ASKS: [&str; 4] = ["吗", "呢", "？", "?"];

/// What the picture should show, as the member wrote it; `None` where the message wishes for none.
pub fn wish(message: &str) -> Option<&str> {
    let message = message.trim();
    if let Some(wish) = COMMANDS.iter().find_map(|command| behind(message, command)) {
        return (!wish.is_empty()).then_some(wish);
    }
    let wishes = WORDS.iter().any(|words| message.starts_with(words)) && !ASKS.iter().any(|ask| message.ends_with(ask));
    wishes.then_some(message)
}

/// What stands behind a command. Large letters and the wide slash are as good.
fn behind<'a>(message: &'a str, command: &str) -> Option<&'a str> {
    let mut rest = message.chars();
    for expected in command.chars() {
        let next = rest.next()?;
        if next != expected && next.to_ascii_lowercase() != expected && !(next == '／' && expected == '/') {
            return None;
        }
    }
    let rest = rest.as_str();
    // 「/画一只猫」 is as good as 「/画 一只猫」; "/images" is not "/image s".
    let is_apart = !command.is_ascii() || rest.is_empty() || rest.starts_with(char::is_whitespace);
    is_apart.then(|| rest.trim_start_matches(['：', ':']).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_known_from_a_question() {
        for (message, expected) in [
            ("/image a cat", Some("a cat")),
            (" ／Image  a cat\n", Some("a cat")),
            ("/画 一只猫", Some("一只猫")),
            ("/画一只猫", Some("一只猫")),
            ("／画图：一只猫", Some("一只猫")),
            ("画一只戴帽子的猫", Some("画一只戴帽子的猫")),
            ("画一张海报，蓝色", Some("画一张海报，蓝色")),
            ("帮我画一个标志", Some("帮我画一个标志")),
            ("画 日落", Some("画 日落")),
            ("/image", None),
            ("/images of Paris", None),
            ("画蛇添足是什么意思", None),
            ("画面太暗怎么办", None),
            ("画一张图要多久？", None),
            ("你会画画吗", None),
            ("动画一集多长", None),
            ("", None),
        ] {
            assert_eq!(wish(message), expected, "{message}");
        }
    }
}
