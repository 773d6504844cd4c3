//! How many model tokens a text has.
//!
//! Exact where the model's tokenizer is known and compiled in (feature `tiktoken`), otherwise estimated, rather too
//! high than too low. Knows nothing of messages beyond what each costs on top of its text. To count another model
//! exactly, add its tokenizer to [`TokenCounter::for_model`].

/// What a message costs beside its text, in model tokens: role and separators. OpenAI's models take 3 and once 3 more
/// for the answer's beginning.
pub const MESSAGE_OVERHEAD: usize = 4;

/// Counts model tokens as one model does.
#[derive(Clone, Copy, Debug)]
pub struct TokenCounter(Method);

#[derive(Clone, Copy, Debug)]
enum Method {
    /// Gives the tokenizer. Its first call builds it, for the whole process: some 46 MB.
    #[cfg(feature = "tiktoken")]
    Exact(fn() -> &'static tiktoken_rs::CoreBPE),
    Estimate,
}

/// The most model tokens that `text` can have in any tokenizer that works on bytes: one for each.
pub const fn count_upper_bound(text: &str) -> usize {
    text.len()
}

impl TokenCounter {
    /// The counter for the model that an upstream calls `model`. Costs nothing yet.
    pub fn for_model(model: &str) -> Self {
        Self(Method::for_model(model))
    }

    /// The model tokens of `text`.
    pub fn count(&self, text: &str) -> usize {
        match self.0 {
            #[cfg(feature = "tiktoken")]
            Method::Exact(tokenizer) => pieces(text).map(|piece| tokenizer().count_ordinary(piece)).sum(),
            Method::Estimate => estimate(text),
        }
    }

    /// Whether messages with these texts are at most `budget` model tokens long. Counts only where the bytes leave a
    /// doubt, so that a short conversation never loads a tokenizer.
    pub fn fits(&self, texts: &[&str], budget: usize) -> bool {
        let most: usize = texts.iter().map(|text| count_upper_bound(text) + MESSAGE_OVERHEAD).sum();
        if most <= budget {
            return true;
        }
        texts.iter().try_fold(budget, |left, text| left.checked_sub(self.count(text) + MESSAGE_OVERHEAD)).is_some()
    }
}

#[cfg(feature = "tiktoken")]
impl Method {
    fn for_model(model: &str) -> Self {
        use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

        // Resellers put the maker first: `openai/gpt-4o`.
        let name = model.rsplit('/').next().unwrap_or(model);
        match get_tokenizer(name) {
            // Harmony differs in its special tokens only, and none of those is in a text.
            Some(Tokenizer::O200kBase | Tokenizer::O200kHarmony) => Self::Exact(tiktoken_rs::o200k_base_singleton),
            Some(Tokenizer::Cl100kBase) => Self::Exact(tiktoken_rs::cl100k_base_singleton),
            _ => Self::Estimate,
        }
    }
}

#[cfg(not(feature = "tiktoken"))]
impl Method {
    const fn for_model(_: &str) -> Self {
        Self::Estimate
    }
}

/// Cuts a long text up. The tokenizer's regular expression gives up, with a panic, on a run of a million spaces;
/// within a piece it cannot. A cut through a word costs a model token or two.
#[cfg(feature = "tiktoken")]
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    const PIECE_BYTES: usize = 16 * 1024;
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE_BYTES));
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Adds up a share of a model token for each character, by its kind. The shares are a little above what the tokenizers
/// of 2023 to 2025 need for ordinary text, because a conversation that is thought too long loses an old message, but
/// one that is thought short enough is refused.
pub fn estimate(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut sum, mut at) = (0, 0);
    while let Some(lead) = bytes.get(at) {
        let (length, share) = LEADS[usize::from(*lead)];
        sum += match share {
            0 => text[at..].chars().next().map_or(WHOLE, share_of),
            share => usize::from(share),
        };
        at += usize::from(length);
    }
    sum.div_ceil(WHOLE)
}

/// The least number that all shares of a token are whole parts of.
const WHOLE: usize = 6;

const fn share_of(char: char) -> usize {
    match char {
        // English has about 4 characters to a token, the space before a word included.
        'a'..='z' | 'A'..='Z' | ' ' => WHOLE / 3,
        // Half would do for prose, but tables, and digits that Qwen takes one by one, need it whole.
        '\0'..='\x7f' => WHOLE,
        // Chinese has 0.6 to 0.9 tokens to a character; kana, hangul and full-width punctuation have no more.
        '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' => WHOLE,
        // Emoji and rare characters, often given byte by byte.
        '\u{10000}'.. => WHOLE * 3,
        // Other scripts.
        _ => WHOLE * 2 / 3,
    }
}

/// By the first byte of a character in UTF-8: its length, and its share where all that begin so have the same; else 0.
/// A conversation is counted anew for each question, so this is most of what is done with a character.
const LEADS: [(u8, u8); 256] = leads();

const fn leads() -> [(u8, u8); 256] {
    let mut leads = [(1, 0); 256];
    let mut lead = 0;
    while lead < 256 {
        leads[lead] = match lead as u8 {
            byte @ ..0x80 => (1, share_of(byte as char) as u8),
            0xC0..0xE0 => (2, share_of('\u{80}') as u8),
            0xE0..0xE2 => (3, share_of('\u{800}') as u8),
            // U+3000 to U+9FFF, and U+B000 to U+CFFF.
            0xE3..0xEA | 0xEB | 0xEC => (3, share_of('\u{3000}') as u8),
            0xE2..0xF0 => (3, 0),
            0xF0.. => (4, share_of('\u{10000}') as u8),
            _ => (1, 0),
        };
        lead += 1;
    }
    leads
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ESTIMATE: TokenCounter = TokenCounter(Method::Estimate);

    proptest! {
        #[test]
        fn an_estimate_is_within_the_upper_bound_and_grows_with_the_text(a in "\\PC{0,40}", b in "\\PC{0,40}") {
            let (count_a, count_b) = (ESTIMATE.count(&a), ESTIMATE.count(&b));
            let both = ESTIMATE.count(&format!("{a}{b}"));
            prop_assert!(count_a <= count_upper_bound(&a));
            prop_assert!((count_a.max(count_b)..=count_a + count_b).contains(&both));
        }
    }

    #[test]
    fn what_a_first_byte_says_of_a_character_is_true() {
        for char in '\0'..=char::MAX {
            assert_eq!(estimate(&char.to_string().repeat(6)), share_of(char), "{char:?}");
        }
    }

    #[test]
    fn messages_fit_up_to_the_last_token() {
        let texts = ["你好吗", "hello world"];
        let need = 3 + 4 + 2 * MESSAGE_OVERHEAD;
        assert!(ESTIMATE.fits(&texts, need));
        assert!(!ESTIMATE.fits(&texts, need - 1));
        assert!(ESTIMATE.fits(&[], 0));
    }

    #[cfg(feature = "tiktoken")]
    mod exact {
        use super::*;

        #[test]
        fn a_model_is_counted_with_its_own_tokenizer() {
            let text = "企业微信里的同事";
            let counts = |model| TokenCounter::for_model(model).count(text);
            let (o200k, cl100k) = (tiktoken_rs::o200k_base_singleton(), tiktoken_rs::cl100k_base_singleton());
            let (new, old) = (o200k.count_ordinary(text), cl100k.count_ordinary(text));
            assert_ne!(new, old);
            for model in ["gpt-4o", "gpt-4.1-mini", "gpt-5", "o1", "o3-mini", "o4-mini", "openai/gpt-4o", "gpt-oss-20b"]
            {
                assert_eq!(counts(model), new, "{model}");
            }
            for model in ["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo"] {
                assert_eq!(counts(model), old, "{model}");
            }
            for model in ["deepseek-chat", "qwen-max", "gpt2", ""] {
                assert_eq!(counts(model), 8, "{model}");
            }
        }

        #[test]
        fn a_short_conversation_loads_no_tokenizer() {
            let counter = TokenCounter(Method::Exact(|| unreachable!("nothing needs to be counted")));
            assert!(counter.fits(&["你好", "hi"], 6 + 2 + 2 * MESSAGE_OVERHEAD));
        }

        #[test]
        fn special_tokens_in_a_text_are_text() {
            assert!(TokenCounter::for_model("gpt-4o").count("<|endoftext|>") > 1);
        }

        #[test]
        fn no_text_is_too_strange_to_count() {
            let counter = TokenCounter::for_model("gpt-4o");
            for text in [" ".repeat(1 << 20), "a".repeat(1 << 16), "\u{301}\n ".repeat(1 << 13)] {
                let count = counter.count(&text);
                assert!((1..=count_upper_bound(&text)).contains(&count));
            }
        }

        #[test]
        fn an_estimate_is_rather_too_high_than_too_low() {
            for text in [
                "The quick brown fox jumps over the lazy dog, and then it sits down to write a long report.",
                "请帮我把这份会议纪要整理成三条要点，并列出每一条的负责人和截止日期。",
                "fn main() {\n    let total: u64 = (1..=100).filter(|n| n % 3 == 0).sum();\n    println!(\"{total}\");\n}\n",
                "| 项目 | 2024 | 2025 |\n|---|---|---|\n| 营收 | 1,234.5 | 2,345.6 |\n",
                "明日の会議は午後三時からです。よろしくお願いします。",
                "Завтра совещание начнётся в три часа дня.",
            ] {
                let count = tiktoken_rs::o200k_base_singleton().count_ordinary(text);
                assert!(
                    (count..=count * 5 / 2).contains(&ESTIMATE.count(text)),
                    "{} for {count}: {text}",
                    ESTIMATE.count(text)
                );
            }
        }
    }
}
