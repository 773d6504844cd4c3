//! A form with a recording (`multipart/form-data`, RFC 7578), read where it lies: nothing of it is copied, and what is
//! passed on is what came.

use std::{ops::Range, time::Duration};

use bytes::Bytes;

use super::body::{InvalidBody, wrong};
use crate::media::wav;

/// Parts of a form; the API has some ten fields.
const MOST_PARTS: usize = 64;
/// Bytes of what stands before a part's content.
const MOST_HEAD: usize = 4096;
/// Bytes of a field that is no file.
const MOST_TEXT: usize = 64 * 1024;
/// The longest boundary (RFC 2046).
const MOST_BOUNDARY: usize = 70;
/// Where nobody says how long a recording is, a second of it is taken to have so many bytes: 32 kbit/s, as speech has in
/// Opus, AAC or AMR-WB. MP3 has more, so that it is taken to be longer than it is, and never shorter.
const SECOND: usize = 4000;

/// A form, and where its parts are.
pub(in crate::llm) struct Form {
    bytes: Bytes,
    content_type: String,
    model: Range<usize>,
    file: Range<usize>,
    /// The fields that are no file, but the model.
    texts: Vec<Range<usize>>,
}

fn no_form(message: &str) -> InvalidBody {
    InvalidBody { field: None, message: format!("the body is no multipart/form-data that can be passed on: {message}") }
}

impl Form {
    pub(super) fn parse(content_type: &str, bytes: Bytes) -> Result<Self, InvalidBody> {
        let boundary = boundary(content_type).ok_or_else(|| no_form("the Content-Type names no boundary"))?;
        let delimiter = format!("\r\n--{boundary}");
        let mut at = bytes.starts_with(&delimiter.as_bytes()[2..]).then_some(delimiter.len() - 2);
        let (mut model, mut file, mut texts) = (None, None, Vec::new());
        let mut parts = 0;
        loop {
            let from = at.ok_or_else(|| no_form("a boundary is missing"))?;
            if bytes[from..].starts_with(b"--") {
                break;
            }
            parts += 1;
            let rest = bytes[from..].strip_prefix(b"\r\n").filter(|_| parts <= MOST_PARTS);
            let rest = rest.ok_or_else(|| no_form("something stands behind a boundary, or it has too many parts"))?;
            let head =
                find(&rest[..rest.len().min(MOST_HEAD)], b"\r\n\r\n").ok_or_else(|| no_form("a part has no head"))?;
            let (name, is_file) = name(&rest[..head]).ok_or_else(|| no_form("a part has no name"))?;
            let begins = from + 2 + head + 4;
            let length = find(&bytes[begins..], delimiter.as_bytes()).ok_or_else(|| no_form("it does not end"))?;
            let part = begins..begins + length;
            at = Some(part.end + delimiter.len());
            match (name.as_str(), is_file) {
                ("file", true) if file.is_none() => file = Some(part),
                ("model", false) if model.is_none() => model = Some(part),
                (known, _) if ["file", "model"].iter().any(|name| known.eq_ignore_ascii_case(name)) => {
                    return Err(no_form("'file' must be one file and 'model' one name, both in small letters"));
                }
                (_, false) => texts.push(part),
                // A second file is nobody's recording.
                (_, true) => return Err(no_form("there is a file beside 'file'")),
            }
        }
        let text = |part: &Range<usize>| part.len() <= MOST_TEXT && std::str::from_utf8(&bytes[part.clone()]).is_ok();
        let model =
            model.filter(|part| !part.is_empty() && text(part)).ok_or_else(|| wrong("model", "the name of a model"))?;
        if !texts.iter().all(text) {
            return Err(no_form("a field is no text, or longer than 64 KiB"));
        }
        let file = file.filter(|file| !file.is_empty()).ok_or_else(|| wrong("file", "a recording"))?;
        Ok(Self { content_type: content_type.to_owned(), model, file, texts, bytes })
    }

    /// What it says about itself.
    pub(super) fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The model that is asked for.
    pub(super) fn model(&self) -> &str {
        self.text(&self.model)
    }

    /// The fields that are texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|part| self.text(part))
    }

    /// How long the recording is, and whether that is known.
    pub(super) fn sound(&self) -> (Duration, bool) {
        let file = &self.bytes[self.file.clone()];
        let by_size = || Duration::from_millis(file.len() as u64 * 1000 / SECOND as u64 + 1);
        wav::length(file).map_or_else(|| (by_size(), false), |length| (length, true))
    }

    /// The form with other texts in their places; with none it is what came.
    pub(super) fn with(&self, changed: &[(usize, String)]) -> Bytes {
        if changed.is_empty() {
            return self.bytes.clone();
        }
        let mut changed: Vec<_> = changed.iter().map(|(index, text)| (&self.texts[*index], text)).collect();
        changed.sort_by_key(|(part, _)| part.start);
        let (mut written, mut copied) = (Vec::with_capacity(self.bytes.len()), 0);
        for (part, text) in changed {
            written.extend_from_slice(&self.bytes[copied..part.start]);
            written.extend_from_slice(text.as_bytes());
            copied = part.end;
        }
        written.extend_from_slice(&self.bytes[copied..]);
        written.into()
    }

    fn text(&self, part: &Range<usize>) -> &str {
        std::str::from_utf8(&self.bytes[part.clone()]).unwrap_or_default()
    }
}

/// The boundary that a `Content-Type` names.
fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut named = parameters.split(';').filter_map(|parameter| parameter.trim().split_once('='));
    let (_, boundary) = named.find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    let boundary = boundary.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(boundary);
    let fits = (1..=MOST_BOUNDARY).contains(&boundary.len()) && boundary.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(boundary)
}

/// The name in a part's head, and whether it is of a file. `None` also where upstreams may read another.
fn name(head: &[u8]) -> Option<(String, bool)> {
    let head = std::str::from_utf8(head).ok()?;
    let is_it = |line: &&str| line.get(..20).is_some_and(|name| name.eq_ignore_ascii_case("content-disposition:"));
    let mut lines = head.split("\r\n").filter(is_it);
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    let mut names = line.match_indices("name=\"").filter(|(at, _)| line[..*at].ends_with([' ', ';']));
    let ((at, found), None) = (names.next()?, names.next()) else { return None };
    let name = line[at + found.len()..].split('"').next()?;
    let is_plain = !name.is_empty() && !name.contains('\\') && !line.contains("name*=");
    is_plain.then(|| (name.to_owned(), line.contains("filename")))
}

/// Where `wanted` begins.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let (first, mut at) = (*wanted.first()?, 0);
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == first)?;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"b-1\"";

    fn form(parts: &[(&str, &str)]) -> Vec<u8> {
        let part = |(head, content): &(&str, &str)| {
            format!("--b-1\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
        };
        let mut text: String = parts.iter().map(part).collect();
        text.push_str("--b-1--\r\n");
        text.into_bytes()
    }

    const FILE: (&str, &str) = ("name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg", "\r\n--b-\r\nsound");
    const MODEL: (&str, &str) = ("name=\"model\"", "whisper-1");

    #[test]
    fn a_form_is_read_where_it_lies_and_keeps_its_bytes() {
        let bytes = form(&[FILE, ("name=\"prompt\"", "one"), MODEL, ("name=\"x[]\"", "")]);
        let read = Form::parse(TYPE, bytes.clone().into()).expect("a form");
        assert_eq!((read.model(), read.texts().collect::<Vec<_>>()), ("whisper-1", vec!["one", ""]));
        assert_eq!(&read.bytes[read.file.clone()], FILE.1.as_bytes());
        assert_eq!(read.with(&[]), bytes);
        let other = form(&[FILE, ("name=\"prompt\"", "another"), MODEL, ("name=\"x[]\"", "")]);
        assert_eq!(read.with(&[(0, "another".to_owned())]), other);
        assert_eq!(read.sound(), (Duration::from_millis(FILE.1.len() as u64 / 4 + 1), false));
    }

    #[test]
    fn what_upstreams_may_read_differently_is_refused() {
        let parse = |content_type: &str, bytes: Vec<u8>| Form::parse(content_type, bytes.into()).map(|_| ());
        for parts in [
            &[FILE][..],
            &[MODEL],
            &[FILE, MODEL, MODEL],
            &[FILE, MODEL, ("name=\"Model\"", "x")],
            &[FILE, FILE, MODEL],
            &[FILE, MODEL, ("name=\"other\"; filename=\"b\"", "x")],
            &[FILE, MODEL, ("name=\"a\"; name=\"model\"", "x")],
            &[FILE, MODEL, ("name*=utf-8''model", "x")],
            &[FILE, MODEL, ("filename=\"b\"", "x")],
            &[("name=\"file\"; filename=\"a\"", ""), MODEL],
            &[FILE, ("name=\"model\"", "")],
        ] {
            assert!(parse(TYPE, form(parts)).is_err(), "{parts:?}");
        }
        let good = form(&[FILE, MODEL]);
        assert!(
            parse("application/json", good.clone()).is_err() && parse("multipart/form-data", good.clone()).is_err()
        );
        for end in 0..good.len() - 4 {
            assert!(parse(TYPE, good[..end].to_vec()).is_err(), "cut at {end}");
        }
        assert!(parse(TYPE, good).is_ok());
    }
}
