//! Passwords that are tried first: those of a list, and those of the forms by which most leaked ones are made. A list of
//! leaked passwords itself would be larger than the program.

/// The commonest of those that are long enough (of lists of leaked passwords, and what people make of the product's
/// name), in small letters.
const COMMON: &str = include_str!("common_passwords.txt");
/// Words of which most leaked passwords are made, and those of this house: the product's names, WeCom's, and those of
/// roles. In small letters; `docs/administration.md` says which words of the house there are.
const WORDS: &str = include_str!("common_words.txt");
/// Keys that lie side by side, and the alphabet.
const ROWS: [&str; 12] = [
    "1234567890-=",
    "qwertyuiop[]\\",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "abcdefghijklmnopqrstuvwxyz",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm8ik,9ol.",
];
/// Words that stand one behind the other in a password: more are a phrase.
const MOST_WORDS: usize = 2;

/// Whether a password, in small letters, is one of those.
pub(super) fn is_guessable(small: &str) -> bool {
    COMMON.lines().any(|common| common == small)
        || is_repeated(small)
        || is_along_the_keys(small)
        || is_a_word_with_numbers(small)
}

/// A few characters again and again, up to the middle of them: `abcabcabcabc`, `passwordpassword`.
fn is_repeated(small: &str) -> bool {
    let chars: Vec<char> = small.chars().collect();
    (1..=chars.len() / 2).any(|period| chars.iter().zip(chars.iter().skip(period)).all(|(one, next)| one == next))
}

/// Three of four steps from a character to the next lead to a neighbour, in either direction.
fn is_along_the_keys(small: &str) -> bool {
    let beside = |one: char, next: char| {
        let holds =
            |row: &&str, a: char, b: char| row.find(a).is_some_and(|at| row[at + a.len_utf8()..].starts_with(b));
        ROWS.iter().any(|row| holds(row, one, next) || holds(row, next, one))
    };
    let steps = small.chars().zip(small.chars().skip(1));
    let (all, along) =
        steps.fold((0, 0), |(all, along), (one, next)| (all + 1, along + usize::from(beside(one, next))));
    4 * along >= 3 * all
}

/// One or two common words, however many digits and signs stand before, between and behind them, also where signs stand
/// for letters: `p@ssw0rd!2026`, `Qimate-Admin-2026`.
fn is_a_word_with_numbers(small: &str) -> bool {
    let core = small.trim_matches(|c: char| !c.is_alphabetic());
    let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
    let meant: String = core.chars().map(meant).collect();
    [letters(small), letters(&meant)].iter().any(|letters| is_of_words(letters, MOST_WORDS))
}

/// What a sign stands for in a word.
const fn meant(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        c => c,
    }
}

fn is_of_words(letters: &str, most: usize) -> bool {
    let ends_with = |rest: &str| rest.is_empty() || most > 1 && is_of_words(rest, most - 1);
    !letters.is_empty() && WORDS.lines().any(|word| letters.strip_prefix(word).is_some_and(ends_with))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_people_would_take_is_guessed() {
        for guessed in [
            "password1234",
            "abcabcabcabc",
            "x y x y x y x",
            "三三三三三三三三三三三三",
            "qwertyuiop12",
            "1qaz2wsx3edc",
            "0987654321qw",
            "abcdefghijkl",
            "p@ssw0rd!2026",
            "2026-qimate-admin!",
            "企业微信管理员2026!!",
            "iloveyou.1314520",
            "michael19870412",
            "$$$letmein$$$",
        ] {
            assert!(is_guessable(guessed), "{guessed}");
        }
    }

    /// Whatever signs it is made of: there is no rule for those.
    #[test]
    fn what_somebody_made_up_is_not() {
        for own in [
            "correct horse battery",
            "839275018264",
            "a lifely orange boat",
            "十二个汉字也是一个好密码",
            "tr0ub4dor&3xyz",
            "my company likes dragons",
            "!\"§%&/()=?`´",
            "kzuwbnrxqepf",
        ] {
            assert!(!is_guessable(own), "{own}");
        }
    }

    #[test]
    fn the_lists_are_as_they_are_compared() {
        for list in [COMMON, WORDS] {
            assert!(list.lines().count() > 200 && list.lines().all(|line| line == line.to_lowercase()));
        }
        let long = crate::admin::passwords::SHORTEST;
        assert!(COMMON.lines().all(|line| line.chars().count() >= long));
        for word in ["qimate", "企伴", "wecom", "企业微信", "operator", "owner", "auditor", "admin", "管理员"]
        {
            assert!(WORDS.lines().any(|known| known == word), "{word} is one of the house");
        }
    }
}
