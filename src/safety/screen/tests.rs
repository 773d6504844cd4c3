use proptest::prelude::*;

use super::*;

fn rules(words: &[(&str, Action)], patterns: &[(&str, Action)]) -> Arc<Rules> {
    Arc::new(Rules::new(words.iter().copied(), patterns.iter().copied()).expect("usable"))
}

/// What leaves when the text comes in pieces of `size` characters, whether it was refused, and what was found.
fn screened(rules: &Arc<Rules>, text: &str, size: usize) -> (String, bool, Hits) {
    let mut screen = Screen::new(Arc::clone(rules));
    let chars: Vec<char> = text.chars().collect();
    let mut out: String = chars.chunks(size).map(|delta| screen.push(&String::from_iter(delta))).collect();
    out.push_str(&screen.finish());
    (out, screen.is_refused(), screen.hits())
}

fn masked(words: &[&str], patterns: &[&str], text: &str) -> String {
    let with = |texts: &[&'static str]| -> Vec<_> { texts.iter().map(|text| (*text, Action::Mask)).collect() };
    let leak = |texts: &[&str]| -> Vec<&'static str> {
        texts.iter().map(|text| &*Box::leak((*text).to_owned().into_boxed_str())).collect()
    };
    screened(&rules(&with(&leak(words)), &with(&leak(patterns))), text, 1).0
}

#[test]
fn a_word_is_found_however_it_is_dressed() {
    for (word, text, expected) in [
        ("机密", "这是机密文件", "这是＊＊文件"),
        ("机密", "机 密、机\u{200b}密、**机**密、机　 密", "＊＊、＊＊、**＊＊、＊＊"),
        ("机密", "机\n密", "机\n密"),
        ("机密", "机，密", "机，密"),
        ("Falcon", "FALCON、ｆａｌｃｏｎ、fal\u{ad}con", "＊＊＊＊＊＊、＊＊＊＊＊＊、＊＊＊＊＊＊"),
        ("Falcon", "falconry, xfalcon, falcon2, falcon_", "falconry, xfalcon, falcon2, ＊＊＊＊＊＊_"),
        ("Falcon", "f a l c o n", "f a l c o n"),
        ("project falcon", "Project\n  Falcon!", "＊＊＊＊＊＊＊＊＊＊＊＊＊!"),
        ("翻墙VPN", "翻 墙vpn，翻墙vpns", "＊＊＊＊＊，翻墙vpns"),
        ("C++", "c++ 和 C＋＋", "＊＊＊ 和 ＊＊＊"),
    ] {
        assert_eq!(masked(&[word], &[], text), expected, "{word} in {text}");
    }
}

#[test]
fn words_that_overlap_are_all_found() {
    assert_eq!(masked(&["甲乙", "乙丙丁", "丁"], &[], "甲乙丙丁戊"), "＊＊＊＊戊");
    assert_eq!(masked(&["甲乙", "乙丙丁"], &[], "甲乙丙戊"), "＊＊丙戊");
    assert_eq!(masked(&["甲甲乙"], &[], "甲甲甲乙"), "甲＊＊＊");
}

#[test]
fn patterns_are_found_within_a_line_also_a_long_one() {
    assert_eq!(masked(&[], &[r"项目代号\s*\d+"], "见 项目代号　１２３ 吧"), "见 ＊＊＊＊＊＊＊ 吧");
    assert_eq!(masked(&[], &[r"^a"], "aa\nab"), "＊a\n＊b");
    assert_eq!(masked(&[], &[r"甲.*乙"], "甲\n乙"), "甲\n乙");
    for before in 0..600 {
        let text = format!("{}项目代号 7 完", "好".repeat(before));
        let expected = format!("{}＊＊＊＊＊ 完", "好".repeat(before));
        assert_eq!(masked(&[], &[r"项目代号\s*\d"], &text), expected, "behind {before}");
    }
}

#[test]
fn what_is_refused_ends_the_text_before_it_and_what_stands_before_is_held_to_the_other_rules() {
    let rules = rules(
        &[("机密", Action::Refuse), ("张三", Action::Mask), ("李四", Action::Alert)],
        &[(r"\d{6}", Action::Mask)],
    );
    for size in [1, 2, 3, 100] {
        let (text, refused, hits) = screened(&rules, "张三和李四说 123456 是机密，还有机密。张三", size);
        assert_eq!((text.as_str(), refused), ("＊＊和李四说 ＊＊＊＊＊＊ 是", true));
        let hits: Vec<_> = hits.iter().map(|hit| (hit.rule, hit.action, hit.times)).collect();
        assert_eq!(hits, [("word", "refuse", 1), ("word", "mask", 1), ("word", "alert", 1), ("pattern", "mask", 1)]);
    }
}

#[test]
fn only_what_may_become_a_word_is_held_back() {
    let rules = rules(&[("机密文件", Action::Mask), ("falcon", Action::Mask)], &[]);
    let mut screen = Screen::new(rules);
    for (delta, out) in [
        ("你好，机", "你好，"),
        ("密", ""),
        ("了", "机密了"),
        ("机密文", ""),
        ("件", "＊＊＊＊"),
        ("falcon", ""),
        ("s", "falcons"),
        (" falcon", " "),
        ("。", "＊＊＊＊＊＊。"),
        ("机 \u{200b}  \u{200b}   \u{200b}", "机 \u{200b}  \u{200b}   \u{200b}"),
        ("密文件机", "密文件"),
    ] {
        assert_eq!(screen.push(delta), out, "{delta}");
    }
    assert_eq!(screen.finish(), "机");
}

#[test]
fn a_word_that_began_in_what_was_shown_is_found() {
    let refused = rules(&[("机密", Action::Refuse)], &[]);
    let mut screen = Screen::new(refused).behind("这是机");
    assert_eq!((screen.push("密").as_str(), screen.is_refused()), ("", true));
    let masking = rules(&[("机密", Action::Mask)], &[]);
    let mut screen = Screen::new(masking).behind("机密的机");
    assert_eq!(screen.push("密文件") + &screen.finish(), "＊文件");
}

#[test]
fn a_text_that_was_looked_at_is_masked_and_not_counted() {
    let rules = rules(&[("机密", Action::Refuse), ("李四", Action::Alert)], &[]);
    let mut screen = Screen::lenient(rules);
    let text = screen.push("李四说机密。") + &screen.finish();
    assert_eq!((text.as_str(), screen.is_refused(), screen.hits()), ("李四说＊＊。", false, Hits::default()));
}

#[test]
fn hostile_text_is_read_in_linear_time() {
    let rules = rules(
        &[("aaaaaaab", Action::Mask), ("甲甲甲乙", Action::Mask), ("甲", Action::Mask)],
        &[("a+b", Action::Mask), (".", Action::Mask)],
    );
    for piece in ["a", "甲", " ", "\u{200b}", "\n", "a ", "甲a\n"] {
        let text = piece.repeat(50_000);
        for size in [1000, 50_000] {
            screened(&rules, &text, size);
        }
    }
}

proptest! {
    #[test]
    fn however_it_is_cut_the_same_comes_out(
        text in "([甲乙丙ab1 *，\n]|甲乙|ab ab|\u{200b}){0,80}",
        long in 0usize..3,
        size in 2usize..40,
    ) {
        let text = format!("{text}{}{text}", "乙1 ".repeat(long * 70));
        let words = [("甲乙丙", Action::Mask), ("乙乙", Action::Mask), ("ab ab", Action::Alert), ("丙丙丙", Action::Refuse)];
        let rules = rules(&words, &[("1 *b", Action::Mask), ("^a.*乙$", Action::Mask)]);
        let one = screened(&rules, &text, 1);
        prop_assert_eq!(&one, &screened(&rules, &text, size));
        prop_assert_eq!(&one, &screened(&rules, &text, usize::MAX));
        if !one.1 && one.2 == Hits::default() {
            prop_assert_eq!(one.0, text);
        }
    }
}
