//! Which models see pictures, as far as their names tell. To add a family, add a row.

/// Words that stand in the name of a model that sees, wherever they stand.
const WORDS: [&str; 17] = [
    "vision",
    "-vl",
    "vl-",
    "4v",
    "4.1v",
    "4.5v",
    "4.6v",
    "omni",
    "llava",
    "internvl",
    "minicpm-v",
    "pixtral",
    "multimodal",
    "gpt-4o",
    "chatgpt-4o",
    "gemini",
    "qvq",
];
/// How the names of others begin.
const BEGINNINGS: [&str; 14] = [
    "gpt-4.1",
    "gpt-4.5",
    "gpt-4-turbo",
    "gpt-5",
    "o1",
    "o3",
    "o4",
    "claude-3",
    "claude-opus",
    "claude-sonnet",
    "claude-haiku",
    "gemma3",
    "llama-4",
    "kimi-latest",
];
/// Models of such names that see nothing all the same.
const BLIND: [&str; 7] = ["o1-mini", "o1-preview", "o3-mini", "transcribe", "audio", "embedding", "tts"];

/// Whether the model of this name is known to see pictures. A name that says nothing means no.
pub(super) fn is_known_to_see(model: &str) -> bool {
    // Resellers put the maker first: `openai/gpt-4o`.
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    let sees = WORDS.iter().any(|word| name.contains(word)) || BEGINNINGS.iter().any(|word| name.starts_with(word));
    sees && !BLIND.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_who_sees() {
        for model in [
            "gpt-4o-mini",
            "openai/gpt-4o",
            "gpt-5-mini",
            "o3",
            "o4-mini",
            "qwen-vl-max",
            "Qwen2.5-VL-72B-Instruct",
            "qwen3-vl-plus",
            "glm-4v-flash",
            "glm-4.5v",
            "moonshot-v1-8k-vision-preview",
            "claude-sonnet-4-5",
            "gemini-2.5-flash",
            "llava:13b",
            "gemma3:12b",
            "doubao-1.5-vision-pro",
        ] {
            assert!(is_known_to_see(model), "{model}");
        }
        for model in [
            "deepseek-chat",
            "deepseek-reasoner",
            "qwen-max",
            "glm-4.6",
            "o3-mini",
            "gpt-3.5-turbo",
            "llama3",
            "gpt-4o-audio-preview",
            "",
        ] {
            assert!(!is_known_to_see(model), "{model}");
        }
    }
}
