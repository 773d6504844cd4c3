//! HTML's marks, as far as text needs them.

use super::{entity, is_shown};

/// What is in them is never read by people. Their content is no markup, so only their own end ends them.
const RAW: [&str; 7] = ["script", "style", "iframe", "noembed", "noframes", "xmp", "textarea"];
/// Parts of a page that are markup and no text.
const DROPPED: [&str; 9] = ["template", "svg", "math", "canvas", "object", "select", "audio", "video", "noscript"];
/// Around the text, and not it: dropped unless a page has nothing else.
const AROUND: [&str; 4] = ["nav", "footer", "aside", "menu"];
/// Where the text itself is, on pages that say so.
const MAIN: [&str; 2] = ["main", "article"];
/// They begin and end a line.
const BLOCKS: [&str; 30] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "ul",
];
/// Bytes of text from which on a page's main part, or a page without what is around it, is worth reading alone.
const ENOUGH: usize = 200;
/// A shorter text is worth it where what is around it is not more than so many times as long.
const MOSTLY: usize = 4;

/// The title and the text.
pub(super) fn read(html: &str) -> (String, String) {
    let first = Reader::new(html, true).run();
    if first.text.len() >= ENOUGH {
        return (first.title, first.text);
    }
    // Little was left: a short page, or one whose menu is never closed, or one that is all menu.
    let second = Reader::new(html, false).run();
    if first.text.len() * MOSTLY > second.text.len() {
        return (first.title, first.text);
    }
    let text = if second.text.is_empty() { second.description } else { second.text };
    (second.title, text)
}

/// What was read.
struct Found {
    title: String,
    description: String,
    text: String,
}

struct Reader<'a> {
    rest: &'a str,
    drops_around: bool,
    title: Line,
    description: String,
    text: Line,
    /// Where the main parts stand in the text.
    main: Vec<(usize, usize)>,
    main_depth: u32,
    in_title: bool,
    /// The element that is dropped, and how often it was opened in itself.
    dropping: Option<(&'static str, u32)>,
}

impl<'a> Reader<'a> {
    fn new(html: &'a str, drops_around: bool) -> Self {
        Self {
            rest: html,
            drops_around,
            title: Line::default(),
            description: String::new(),
            text: Line::default(),
            main: Vec::new(),
            main_depth: 0,
            in_title: false,
            dropping: None,
        }
    }

    fn run(mut self) -> Found {
        while !self.rest.is_empty() {
            let text = self.rest.find('<').unwrap_or(self.rest.len());
            let (before, rest) = self.rest.split_at(text);
            self.write(before);
            self.rest = rest;
            self.mark();
        }
        let whole = self.text.0;
        let main: Vec<&str> =
            self.main.iter().filter_map(|(start, end)| Some(whole.get(*start..*end)?.trim())).collect();
        let main = main.join("\n");
        let text = if main.len() >= ENOUGH { main } else { whole.trim().to_owned() };
        Found { title: self.title.0.trim().to_owned(), description: self.description, text }
    }

    fn write(&mut self, text: &str) {
        if self.dropping.is_some() {
            return;
        }
        let to = if self.in_title { &mut self.title } else { &mut self.text };
        to.write(text);
    }

    /// Reads what begins with `<`.
    fn mark(&mut self) {
        let Some(inner) = self.rest.strip_prefix('<') else { return };
        if let Some(comment) = inner.strip_prefix("!--") {
            self.rest = behind(comment, "-->");
        } else if inner.starts_with(['!', '?']) {
            self.rest = behind(inner, ">");
        } else {
            let (closes, named) = match inner.strip_prefix('/') {
                Some(named) => (true, named),
                None => (false, inner),
            };
            let name_end = named.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(named.len());
            if !named.starts_with(|char: char| char.is_ascii_alphabetic()) {
                // A less-than sign.
                self.write("<");
                self.rest = inner;
                return;
            }
            let name = named[..name_end].to_ascii_lowercase();
            let end = tag_end(&named[name_end..]);
            let attributes = &named[name_end..name_end + end];
            self.rest = named.get(name_end + end + 1..).unwrap_or_default();
            if closes {
                self.close(&name);
            } else {
                self.open(&name, attributes);
            }
        }
    }

    fn open(&mut self, name: &str, attributes: &str) {
        if RAW.contains(&name) {
            self.rest = behind_end_of(self.rest, name);
            return;
        }
        if let Some((dropped, depth)) = &mut self.dropping {
            *depth += u32::from(*dropped == name);
            return;
        }
        let around: &[&str] = if self.drops_around { &AROUND } else { &[] };
        if let Some(dropped) = DROPPED.iter().chain(around).find(|dropped| **dropped == name) {
            if !attributes.ends_with('/') {
                self.dropping = Some((dropped, 1));
            }
            return;
        }
        match name {
            "title" => self.in_title = self.title.0.is_empty(),
            "meta" if self.description.is_empty() && attributes.contains("description") => {
                self.description = attribute(attributes, "content").unwrap_or_default();
            }
            "br" | "tr" => self.text.end(),
            "li" => {
                self.text.end();
                self.text.0.push_str("- ");
            }
            "td" | "th" if !self.text.0.is_empty() && !self.text.0.ends_with('\n') => self.text.0.push_str(" | "),
            _ if BLOCKS.contains(&name) => self.text.end(),
            _ => {}
        }
        if MAIN.contains(&name) {
            if self.main_depth == 0 {
                self.main.push((self.text.0.len(), usize::MAX));
            }
            self.main_depth += 1;
        }
    }

    fn close(&mut self, name: &str) {
        if let Some((dropped, depth)) = &mut self.dropping {
            if *dropped == name {
                *depth -= 1;
                if *depth == 0 {
                    self.dropping = None;
                }
            }
            return;
        }
        match name {
            "title" => self.in_title = false,
            _ if BLOCKS.contains(&name) => self.text.end(),
            _ => {}
        }
        if MAIN.contains(&name) && self.main_depth > 0 {
            self.main_depth -= 1;
            if let (0, Some(main)) = (self.main_depth, self.main.last_mut()) {
                main.1 = self.text.0.len();
            }
        }
    }
}

/// Text in lines, white space folded.
#[derive(Default)]
struct Line(String);

impl Line {
    fn write(&mut self, text: &str) {
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            rest = &rest[char.len_utf8()..];
            if let ('&', Some((meant, length))) = (char, entity::reference(rest)) {
                rest = &rest[length..];
                meant.chars().for_each(|char| self.push(char));
            } else {
                self.push(char);
            }
        }
    }

    fn push(&mut self, char: char) {
        if char.is_whitespace() {
            if !self.0.is_empty() && !self.0.ends_with([' ', '\n']) {
                self.0.push(' ');
            }
        } else if is_shown(char) {
            self.0.push(char);
        }
    }

    fn end(&mut self) {
        self.0.truncate(self.0.trim_end_matches(' ').len());
        // An item without words is none.
        if self.0 == "-" || self.0.ends_with("\n-") {
            self.0.pop();
        }
        if !self.0.is_empty() && !self.0.ends_with('\n') {
            self.0.push('\n');
        }
    }
}

fn behind<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

/// What follows the end tag of a raw element; nothing if it is never closed.
fn behind_end_of<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        if rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return behind(rest, ">");
        }
    }
    ""
}

/// Where a tag ends: at the first `>` outside quotes.
fn tag_end(text: &str) -> usize {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    // A quote that is never closed: as if it were none.
    text.find('>').unwrap_or(text.len())
}

fn attribute(attributes: &str, name: &str) -> Option<String> {
    let at = attributes.find(&format!("{name}=")).map(|at| at + name.len() + 1)?;
    let value = &attributes[at..];
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let value = value[1..].split(quote).next().unwrap_or_default();
    let mut line = Line::default();
    line.write(value);
    Some(line.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_a_person_reads_it() {
        let long = "正文很长。".repeat(20);
        let article = format!(
            "<html><head><title> 标题 &amp; 更多\n</title><style>p{{}}</style><script>if(a<b)'</p>'</script></head>\
             <body><nav><a>首页</a></nav>侧栏<main><h1>一</h1><p>{long}</p><ul><li>甲<li>乙</ul></main><footer>版权</footer>"
        );
        for (html, title, text) in [
            (article.as_str(), "标题 & 更多", format!("一\n{long}\n- 甲\n- 乙")),
            ("<p>短</p><nav>菜单</nav>", "", "短".to_owned()),
            ("<p>短<nav>不关的菜单，后面是正文", "", "短\n不关的菜单，后面是正文".to_owned()),
            ("a &lt;b&gt; &#20320;&#x597d; &unknown; &", "", "a <b> 你好 &unknown; &".to_owned()),
            ("<p>一<br>二<!-- <p>no -->三<p>四", "", "一\n二三\n四".to_owned()),
            ("<table><tr><td>a<td>b</tr><tr><td>c</td><td>d</td></table>", "", "a | b\nc | d".to_owned()),
            ("1 < 2 <a title='>'>x</a>", "", "1 < 2 x".to_owned()),
            ("<SCRIPT>alert(1)</ScRiPt>ok<style>never closed", "", "ok".to_owned()),
            (
                "<meta name=\"description\" content=\"说明 &amp; 补充\"><script>app()</script>",
                "",
                "说明 & 补充".to_owned(),
            ),
            ("<svg><title>图</title><text>x</text></svg>字", "", "字".to_owned()),
            ("<a href=\"unclosed>x", "", "x".to_owned()),
            ("", "", String::new()),
        ] {
            assert_eq!(read(html), (title.to_owned(), text), "{html}");
        }
    }

    #[test]
    fn reading_is_linear_on_hostile_pages() {
        for piece in
            ["<", "<a", "<!--", "</", "&", "&#", "<script>", "<nav>", "<main>", "<a b=\"", "<li>", "</main>", "'", "-"]
        {
            let html = piece.repeat(300_000);
            let (title, text) = read(&html);
            assert!(title.len() + text.len() <= 2 * html.len(), "{piece}");
        }
    }
}
