use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::TcpListener,
    sync::Mutex,
    thread,
};

use super::*;
use crate::clock::{ManualClock, Timestamp};

/// A server that answers each connection with the next of these, byte by byte as they stand, and hangs up where
/// `hangs_up`. Gives its port and what it was asked.
fn server(answers: Vec<Vec<u8>>, hangs_up: bool) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&asked);
    thread::spawn(move || {
        let mut open = Vec::new();
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            told.lock().expect("a lock").push(String::from_utf8_lossy(&request[..read]).into_owned());
            let _ = stream.write_all(&answer);
            if !hangs_up {
                open.push(stream);
            }
        }
        thread::park();
    });
    (port, asked)
}

fn page(body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}

fn bounds(hosts: &[(&str, Option<u16>)]) -> Bounds {
    let hosts = hosts.iter().map(|(host, port)| AllowedHost { host: (*host).to_owned(), port: *port }).collect();
    Bounds { bytes: 64 * 1024, time: Duration::from_secs(20), ports: vec![80, 443], hosts }
}

/// Answers each look at a name with the next of these addresses, and the last one for ever.
fn names(addresses: &[&str]) -> (Lookup, Arc<Mutex<u32>>) {
    let addresses: VecDeque<SocketAddr> =
        addresses.iter().map(|one| format!("{one}:0").parse().expect("an address")).collect();
    let left = Arc::new(Mutex::new(addresses));
    let looks = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&looks);
    let lookup: Lookup = Arc::new(move |_| {
        *counted.lock().expect("a lock") += 1;
        let mut left = left.lock().expect("a lock");
        let next = if left.len() > 1 { left.pop_front() } else { left.front().copied() };
        Box::pin(async move { Ok(next.into_iter().collect()) })
    });
    (lookup, looks)
}

fn fetcher(bounds: Bounds, lookup: Lookup) -> Fetcher {
    crate::net::install_crypto();
    Fetcher::with_lookup(bounds, None, Clock::System, lookup).expect("a fetcher")
}

fn said(read: Result<Page, FetchError>) -> String {
    match read {
        Ok(page) => format!("{}|{}|{}", page.title, page.text, page.cut),
        Err(error) => format!("{error:?}"),
    }
}

#[tokio::test]
async fn what_leads_into_the_house_is_refused_before_anybody_is_asked() {
    let (lookup, looks) = names(&["127.0.0.1"]);
    let fetcher = fetcher(bounds(&[]), lookup);
    for (url, why) in [
        ("http://127.0.0.1/", "Forbidden"),
        ("http://2130706433/", "Forbidden"),
        ("http://0x7f.1/", "Forbidden"),
        ("http://[::1]/", "Forbidden"),
        ("http://[::ffff:10.0.0.1]/", "Forbidden"),
        ("http://169.254.169.254/latest/meta-data/", "Forbidden"),
        ("https://1.1.1.1:8443/", "Forbidden"),
        ("http://user@example.com/", "Forbidden"),
        ("http://user:pass@example.com/", "Forbidden"),
        ("ftp://example.com/", "BadUrl"),
        ("file:///etc/passwd", "BadUrl"),
        ("javascript:alert(1)", "BadUrl"),
        ("example.com", "BadUrl"),
        ("", "BadUrl"),
    ] {
        assert_eq!(said(fetcher.read(url, 100).await), why, "{url}");
    }
    assert_eq!(*looks.lock().expect("a lock"), 0, "no name was looked up");
    assert_eq!(said(fetcher.read("http://inside.example.com/", 100).await), "Forbidden", "by what the name says");
    assert_eq!(said(fetcher.read(&format!("http://e.com/{}", "x".repeat(5000)), 100).await), "BadUrl");
}

#[tokio::test]
async fn a_name_that_changes_its_address_gains_nothing() {
    // Public at the first look, inside at the second: there is no second look at one connection, and the address that
    // was looked at is the one that is connected to.
    let (port, asked) = server(vec![redirect("http://rebinding.example.com/"), page(b"secret")], true);
    let (lookup, looks) = names(&["127.0.0.1", "192.168.0.1", "1.1.1.1"]);
    let fetcher = fetcher(bounds(&[("start.example.com", Some(port))]), lookup);
    assert_eq!(said(fetcher.read(&format!("http://start.example.com:{port}/"), 100).await), "Forbidden");
    assert_eq!((*looks.lock().expect("a lock"), asked.lock().expect("a lock").len()), (2, 1));
}

#[tokio::test]
async fn each_hop_is_looked_at() {
    for (to, why) in [
        ("http://127.0.0.1:1/", "Forbidden"),
        ("http://inside.example.com/", "Forbidden"),
        ("//169.254.169.254/", "Forbidden"),
        ("file:///etc/passwd", "BadUrl"),
        ("http://[", "BadUrl"),
    ] {
        let (lookup, _) = names(&["127.0.0.1", "10.0.0.1"]);
        let (port, asked) = server(vec![redirect(to)], true);
        let fetcher = fetcher(bounds(&[("start.example.com", Some(port))]), lookup);
        assert_eq!(said(fetcher.read(&format!("http://start.example.com:{port}/"), 100).await), why, "{to}");
        assert_eq!(asked.lock().expect("a lock").len(), 1, "{to}");
    }
    let (lookup, _) = names(&["127.0.0.1"]);
    let (port, asked) = server((0..10).map(|_| redirect("/again")).collect(), true);
    let fetcher = fetcher(bounds(&[("loop.example.com", Some(port))]), lookup);
    assert_eq!(said(fetcher.read(&format!("http://loop.example.com:{port}/"), 100).await), "Redirects");
    assert_eq!(asked.lock().expect("a lock").len(), MOST_REDIRECTS + 1);
}

#[tokio::test]
async fn a_host_that_is_allowed_is_read_on_its_port_and_no_other() {
    let (lookup, _) = names(&["127.0.0.1"]);
    let (port, asked) = server(vec![redirect("/page"), page("<title>维基</title><p>你好".as_bytes())], true);
    let fetcher = fetcher(bounds(&[("wiki.example.com", Some(port))]), lookup);
    let url = format!("http://Wiki.Example.com:{port}/#part");
    assert_eq!(said(fetcher.read(&url, 100).await), "维基|你好|false");
    assert_eq!(said(fetcher.read("http://wiki.example.com/", 100).await), "Forbidden");
    assert_eq!(said(fetcher.read(&format!("http://other.example.com:{port}/"), 100).await), "Forbidden");
    let asked = asked.lock().expect("a lock");
    assert!(asked[1].starts_with("GET /page HTTP/1.1\r\n"), "{asked:?}");
    assert!(!asked.concat().to_ascii_lowercase().contains("cookie"), "{asked:?}");
}

#[tokio::test]
async fn what_is_too_much_is_cut_and_what_is_no_text_is_not_read() {
    let answer = |head: &str, body: &[u8]| [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat();
    // Ten MiB of one letter are ten KB on the wire.
    let packed = include_bytes!("../../../tests/fixtures/bomb.gz");
    let head =
        format!("200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: gzip\r\ncontent-length: {}", packed.len());
    let bomb = answer(&head, packed);
    // Without a length, on a connection that stays open, it has no end.
    let endless = answer("200 OK\r\ncontent-type: text/plain", &vec![b'x'; 80 * 1024]);
    for (answer, hangs_up, expected) in [
        (endless, false, format!("|{}|true", "x".repeat(50))),
        (bomb, false, format!("|{}|true", "a".repeat(50))),
        (
            answer("200 OK\r\ncontent-type: image/png\r\ncontent-length: 1", b"x"),
            true,
            "Kind(\"image/png\")".to_owned(),
        ),
        (answer("200 OK\r\ncontent-type: text/html\r\ncontent-length: 8", b"<script>"), true, "Empty".to_owned()),
        (answer("404 Not Found\r\ncontent-length: 0", b""), true, "Status(404)".to_owned()),
        (b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), true, "Unreachable".to_owned()),
    ] {
        let (lookup, _) = names(&["127.0.0.1"]);
        let (port, _) = server(vec![answer], hangs_up);
        let fetcher = fetcher(bounds(&[("e.com", Some(port))]), lookup);
        assert_eq!(said(fetcher.read(&format!("http://e.com:{port}/"), 50).await), expected);
    }
}

#[tokio::test]
async fn a_file_is_read_whole_or_not_at_all_and_by_what_it_is() {
    let answer = |head: &str, body: &[u8]| [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat();
    let is_it: fn(&[u8]) -> bool = |head| head.starts_with(b"GIF8");
    let file = [b"GIF89a".as_slice(), &[0; 100]].concat();
    let endless = [b"GIF89a".as_slice(), &[0; 80 * 1024]].concat();
    let bomb = include_bytes!("../../../tests/fixtures/bomb.gz");
    let packed = format!("200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}", bomb.len());
    for (answer, hangs_up, expected) in [
        (answer("200 OK\r\ncontent-type: text/html\r\ncontent-length: 106", &file), false, Ok(106)),
        (answer("200 OK\r\ncontent-length: 5", b"GIF8a"), false, Ok(5)),
        (answer("200 OK\r\ncontent-length: 65537", &endless), false, Err("TooLarge")),
        (answer("200 OK", &endless), false, Err("TooLarge")),
        (answer("200 OK\r\ncontent-length: 106", &file[..50]), true, Err("Unreachable")),
        // What is no such file is left after its first bytes, however much of it is said to follow.
        (answer("200 OK\r\ncontent-length: 60000", b"<!doctype html><html>"), false, Err("OtherFile")),
        (answer("200 OK\r\ncontent-length: 0", b""), false, Err("OtherFile")),
        (answer(&packed, bomb), false, Err("OtherFile")),
        (answer("403 Forbidden\r\ncontent-length: 0", b""), false, Err("Status(403)")),
    ] {
        let (lookup, _) = names(&["127.0.0.1"]);
        let (port, _) = server(vec![answer], hangs_up);
        let fetcher = fetcher(bounds(&[("e.com", Some(port))]), lookup);
        let read = fetcher.file(&format!("http://e.com:{port}/"), "image/*", is_it).await;
        let read = read.map(|file| file.len()).map_err(|error| format!("{error:?}"));
        assert_eq!(read, expected.map_err(str::to_owned));
    }
    let (lookup, _) = names(&["10.0.0.1"]);
    let read = fetcher(bounds(&[]), lookup).file("http://inside.example.com/a.gif", "image/*", is_it).await;
    assert!(matches!(read, Err(FetchError::Forbidden)));
}

#[tokio::test]
async fn who_writes_a_byte_now_and_then_is_left() {
    let manual = ManualClock::new(Timestamp::from_secs(1_790_000_000));
    let (lookup, _) = names(&["127.0.0.1"]);
    let begun = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 99\r\n\r\n<p>".to_vec();
    let (port, asked) = server(vec![begun], false);
    crate::net::install_crypto();
    let bounds = bounds(&[("slow.example.com", Some(port))]);
    let fetcher = Fetcher::with_lookup(bounds, None, Clock::Manual(manual.clone()), lookup).expect("a fetcher");
    let url = format!("http://slow.example.com:{port}/");
    let passes = async {
        while asked.lock().expect("a lock").is_empty() {
            tokio::task::yield_now().await;
        }
        let limit = Duration::from_secs(20);
        manual.sleeper_within(limit..=limit).await;
        manual.advance(limit);
    };
    let (read, ()) = tokio::join!(fetcher.read(&url, 50), passes);
    assert_eq!(said(read), "TimedOut");
}
