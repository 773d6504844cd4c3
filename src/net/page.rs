//! From the bytes of a web page to what a person would read of it.
//!
//! Not a parser of HTML's standard: a tree of a hostile page takes many times its size, and for text nobody needs one.
//! It reads once from the beginning to the end, drops what is no text (scripts, styles, menus) and keeps where
//! paragraphs end. `html` knows the marks, this file the bytes. To read another type, add it to [`can_read`].

mod entity;
mod html;

use encoding_rs::{Encoding, GB18030, UTF_8};

/// A page as a person would read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its title; may be empty.
    pub title: String,
    /// Its text, a paragraph a line.
    pub text: String,
    /// There is more of it.
    pub cut: bool,
}

/// Characters that a title has at most.
const MOST_TITLE: usize = 200;
/// Bytes in which a page names its own character set, as browsers look for it.
const PRELUDE: usize = 1024;

/// Whether a body of this content type, in small letters, is text. A missing type is looked at when the body is there.
pub(super) fn can_read(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let known = ["application/json", "application/xml", "application/xhtml+xml", "application/yaml"];
    essence.is_empty()
        || essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml") && !essence.starts_with("image/")
        || known.contains(&essence)
}

/// The title and at most `most` characters of text.
pub(super) fn read(kind: &str, body: &[u8], most: usize) -> Page {
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let begins_like_one = body.trim_ascii_start().starts_with(b"<");
    let is_html = matches!(essence, "text/html" | "application/xhtml+xml") || essence.is_empty() && begins_like_one;
    if essence.is_empty() && !is_html && body.contains(&0) {
        return Page::default();
    }
    let text = decode(kind, body, is_html);
    let (title, text) = if is_html { html::read(&text) } else { (String::new(), plain(&text)) };
    let (title, _) = bounded(&title, MOST_TITLE);
    let (text, cut) = bounded(&text, most);
    Page { title, text, cut }
}

/// By the header, the page's own word, or what the bytes look like: many Chinese pages are in GBK and say so nowhere.
fn decode(kind: &str, body: &[u8], is_html: bool) -> String {
    let of_header = label(kind.as_bytes());
    let of_page = || is_html.then(|| label(&body[..body.len().min(PRELUDE)].to_ascii_lowercase())).flatten();
    let encoding = of_header.or_else(of_page).unwrap_or_else(|| match std::str::from_utf8(body) {
        Ok(_) => UTF_8,
        // Cut in the middle of a character.
        Err(error) if error.error_len().is_none() => UTF_8,
        Err(_) => GB18030,
    });
    let (text, ..) = encoding.decode(body);
    text.trim_end_matches('\u{FFFD}').to_owned()
}

/// The first `charset=` of a header or of a page's beginning.
fn label(text: &[u8]) -> Option<&'static Encoding> {
    let at = text.windows(8).position(|window| window == b"charset=")?;
    let rest = text[at + 8..].trim_ascii_start();
    let rest = rest.strip_prefix(b"\"").or_else(|| rest.strip_prefix(b"'")).unwrap_or(rest);
    let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"-_.:".contains(byte));
    Encoding::for_label(&rest[..end.unwrap_or(rest.len())])
}

fn plain(text: &str) -> String {
    text.chars().filter(|char| *char == '\n' || *char == '\t' || is_shown(*char)).collect::<String>().trim().to_owned()
}

/// Whether a character shows anything. What shows nothing can carry words that only a model reads.
fn is_shown(char: char) -> bool {
    !char.is_control()
        && !matches!(char, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
        && !matches!(char, '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{FE00}'..='\u{FE0F}')
        && !matches!(char, '\u{E0000}'..='\u{E0FFF}')
}

fn bounded(text: &str, most: usize) -> (String, bool) {
    match text.char_indices().nth(most) {
        Some((end, _)) => (text[..end].trim_end().to_owned(), true),
        None => (text.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_character_set_is_found_where_pages_say_it_or_do_not() {
        let (gbk, ..) = encoding_rs::GBK.encode("<title>中文</title><p>你好，世界。</p>");
        let (declared, ..) = encoding_rs::GBK.encode("<meta charset=\"gb2312\"><title>中文</title><p>你好，世界。</p>");
        let utf8 = "<title>中文</title><p>你好，世界。</p>".as_bytes();
        for (kind, body) in [
            ("text/html; charset=gbk", &*gbk),
            ("text/html", &*gbk),
            ("text/html", &*declared),
            ("text/html; charset=utf-8", utf8),
            ("text/html", utf8),
            ("", utf8),
        ] {
            let page = read(kind, body, 1000);
            assert_eq!((page.title.as_str(), page.text.as_str()), ("中文", "你好，世界。"), "{kind} {body:?}");
        }
        assert_eq!(
            read("text/html", &utf8[..utf8.len() - 5], 99).text,
            "你好，世界",
            "cut in the middle of a character"
        );
        assert_eq!(read("text/html", b"<meta charset=nonsense>caf\xc3\xa9", 9).text, "café");
        assert_eq!(read("", b"\x00\x01\x02", 9), Page::default());
    }

    #[test]
    fn only_text_is_read_and_only_so_much_of_it() {
        for (kind, can) in [
            ("", true),
            ("text/html; charset=utf-8", true),
            ("text/markdown", true),
            ("application/json", true),
            ("application/ld+json", true),
            ("application/rss+xml", true),
            ("image/svg+xml", false),
            ("image/png", false),
            ("application/pdf", false),
            ("application/octet-stream", false),
            ("video/mp4", false),
        ] {
            assert_eq!(can_read(kind), can, "{kind}");
        }
        let page = read("text/plain", "一二三四五六".as_bytes(), 4);
        assert_eq!((page.text.as_str(), page.cut), ("一二三四", true));
        let hidden = "看\u{200B}得\u{202E}见\u{E0049}\u{E0067}。\u{7}\n";
        assert_eq!(read("text/plain", hidden.as_bytes(), 99).text, "看得见。");
    }
}
