//! What a file of code is called: as the model called it, else by the heading above it, with the extension of its
//! language.

use crate::model::{file_name::FileName, language::Language};

/// The longest text above a block that is taken for its name, in characters.
const LONGEST_STEM: usize = 40;
/// The longest extension of a name that the model gave.
const LONGEST_EXTENSION: usize = 10;

/// Extensions by the words that stand behind a fence, in small letters. What is not here is `txt`.
const EXTENSIONS: &[(&str, &[&str])] = &[
    ("py", &["python", "py", "python3"]),
    ("js", &["javascript", "js", "node", "nodejs", "mjs"]),
    ("ts", &["typescript", "ts"]),
    ("jsx", &["jsx"]),
    ("tsx", &["tsx"]),
    ("java", &["java"]),
    ("kt", &["kotlin", "kt"]),
    ("swift", &["swift"]),
    ("go", &["go", "golang"]),
    ("rs", &["rust", "rs"]),
    ("c", &["c"]),
    ("h", &["h"]),
    ("cpp", &["cpp", "c++", "cxx", "cc"]),
    ("hpp", &["hpp"]),
    ("cs", &["csharp", "cs", "c#"]),
    ("fs", &["fsharp", "f#"]),
    ("vb", &["vb", "vbnet"]),
    ("bas", &["vba"]),
    ("php", &["php"]),
    ("rb", &["ruby", "rb"]),
    ("pl", &["perl", "pl"]),
    ("lua", &["lua"]),
    ("r", &["r"]),
    ("jl", &["julia", "jl"]),
    ("m", &["matlab", "objectivec", "objective-c", "objc"]),
    ("scala", &["scala"]),
    ("groovy", &["groovy"]),
    ("gradle", &["gradle"]),
    ("dart", &["dart"]),
    ("hs", &["haskell", "hs"]),
    ("erl", &["erlang"]),
    ("ex", &["elixir"]),
    ("clj", &["clojure"]),
    ("sol", &["solidity"]),
    ("sql", &["sql", "mysql", "postgresql", "postgres", "plsql", "tsql", "sqlite", "plpgsql"]),
    ("sh", &["bash", "sh", "shell", "zsh"]),
    ("ps1", &["powershell", "ps1", "pwsh"]),
    ("bat", &["bat", "batch", "cmd", "dos"]),
    ("html", &["html", "htm", "xhtml"]),
    ("css", &["css"]),
    ("scss", &["scss"]),
    ("less", &["less"]),
    ("vue", &["vue"]),
    ("svelte", &["svelte"]),
    ("xml", &["xml", "xsl", "xslt"]),
    ("svg", &["svg"]),
    ("json", &["json", "json5", "jsonc"]),
    ("jsonl", &["jsonl", "ndjson"]),
    ("yaml", &["yaml", "yml"]),
    ("toml", &["toml"]),
    ("ini", &["ini", "cfg"]),
    ("conf", &["conf", "nginx", "apache"]),
    ("properties", &["properties"]),
    ("env", &["env", "dotenv"]),
    ("csv", &["csv"]),
    ("tsv", &["tsv"]),
    ("md", &["markdown", "md"]),
    ("tex", &["latex", "tex"]),
    ("dockerfile", &["dockerfile", "docker"]),
    ("mk", &["makefile", "make"]),
    ("cmake", &["cmake"]),
    ("diff", &["diff", "patch"]),
    ("proto", &["proto", "protobuf"]),
    ("graphql", &["graphql", "gql"]),
    ("tf", &["terraform", "hcl", "tf"]),
    ("asm", &["asm", "assembly", "nasm"]),
    ("v", &["verilog"]),
    ("vhd", &["vhdl"]),
    ("mmd", &["mermaid"]),
    ("puml", &["plantuml", "puml"]),
    ("log", &["log"]),
];

/// The name of a block of code whose fence says `info` and that stands below `heading`.
pub(super) fn of_code(info: &str, code: &str, heading: Option<&str>, language: Language) -> FileName {
    if let Some(given) = given(info, code) {
        return given;
    }
    let word = info.split([' ', '\t', ',', ':', '{']).next().unwrap_or_default().to_lowercase();
    let extension =
        EXTENSIONS.iter().find(|(_, words)| words.contains(&word.as_str())).map_or("txt", |(known, _)| known);
    of_block(heading, extension, language, ["代码", "code"])
}

/// The name of a table below `heading`.
pub(super) fn of_table(heading: Option<&str>, language: Language) -> FileName {
    of_block(heading, "csv", language, ["表格", "table"])
}

/// The name of a whole answer that begins with `heading`.
pub(super) fn of_answer(heading: Option<&str>, language: Language) -> FileName {
    of_block(heading, "md", language, ["回答", "answer"])
}

fn of_block(heading: Option<&str>, extension: &str, language: Language, otherwise: [&str; 2]) -> FileName {
    let [zh, en] = otherwise;
    let otherwise = if language == Language::Chinese { zh } else { en };
    let heading = heading.map(|text| text.trim_matches(|c: char| c.is_whitespace() || ":：。.#*`".contains(c)));
    let stem = match heading {
        Some(heading) if (1..=LONGEST_STEM).contains(&heading.chars().count()) => heading,
        _ => otherwise,
    };
    FileName::make(stem, extension)
}

/// The name that the model gave: behind the fence (`python title="app.py"`, `python:src/app.py`, `app.py`), or in a
/// comment that is the first line.
fn given(info: &str, code: &str) -> Option<FileName> {
    let behind_fence = info.split([' ', '\t', ',', ':', '=', '"', '\'', '{', '}']).find_map(file_name);
    behind_fence.or_else(|| {
        let line = code.lines().next()?.trim();
        let comment = ["#", "//", "--", ";", "/*", "<!--", "%"].into_iter().find_map(|mark| line.strip_prefix(mark))?;
        file_name(comment.trim_end_matches("*/").trim_end_matches("-->").trim())
    })
}

/// The last part of `text` if it is a path of a file: letters, digits and `-_./` of ASCII, with an extension.
fn file_name(text: &str) -> Option<FileName> {
    let is_path = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./\\".contains(&byte));
    let last = text.rsplit(['/', '\\']).next()?;
    let (_, extension) = last.rsplit_once('.')?;
    let is_extension =
        (1..=LONGEST_EXTENSION).contains(&extension.len()) && extension.bytes().any(|byte| byte.is_ascii_alphabetic());
    if is_path && is_extension { FileName::parse(last).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_called_what_it_is() {
        let cases = [
            ("python", "print(1)", None, "代码.py"),
            ("Rust", "fn main() {}", Some("读取配置"), "读取配置.rs"),
            ("c++", "int x;", Some("第 1 步：编译"), "第 1 步：编译.cpp"),
            ("c++", "int x;", Some("Step 1: build"), "Step 1 build.cpp"),
            ("python title=\"app/main.py\"", "x = 1", Some("标题"), "main.py"),
            ("ts:src/index.ts", "let x", None, "index.ts"),
            ("app.vue", "<template>", None, "app.vue"),
            ("python", "# tools/convert.py\nimport os", None, "convert.py"),
            ("sql", "-- schema.sql\nselect 1", None, "schema.sql"),
            ("html", "<!-- index.html -->", None, "index.html"),
            ("python", "# version 3.11", None, "代码.py"),
            ("python", "#!/usr/bin/env python3", None, "代码.py"),
            ("brainfuck", "+", None, "代码.txt"),
            ("", "a", Some("../../../etc/passwd"), "etc passwd.txt"),
            ("dockerfile", "FROM scratch", None, "代码.dockerfile"),
        ];
        for (info, code, heading, name) in cases {
            assert_eq!(of_code(info, code, heading, Language::Chinese).as_str(), name, "{info} {code}");
        }
        assert_eq!(of_table(None, Language::English).as_str(), "table.csv");
        assert_eq!(of_answer(Some("年度总结"), Language::Chinese).as_str(), "年度总结.md");
        assert_eq!(of_answer(Some(&"长".repeat(41)), Language::Chinese).as_str(), "回答.md");
    }

    #[test]
    fn no_word_stands_for_two_extensions() {
        let mut words: Vec<_> = EXTENSIONS.iter().flat_map(|(_, words)| words.iter()).collect();
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
    }
}
