//! Postern's SDK for plugins in Rust: one file, which needs nothing but std. Copy it next
//! to your own and say what your plugin decides:
//!
//! ```ignore
//! #[macro_use]
//! mod postern;
//! use postern::*;
//!
//! inbound!(|m| match m.has_header("List-Unsubscribe") {
//!     true => accept().folder("Newsletters").label("bulk"),
//!     false => accept(),
//! });
//! ```
//!
//! Every call sees a fresh instance: a static does not last, what is to last goes into
//! `kv`. A panic is a failure, and the plugin's failure policy decides. What the words
//! mean, and which permission each needs, is told in README.md beside this file.
#![allow(dead_code, unused_macros)]

use std::{error::Error, fmt, io};

#[link(wasm_import_module = "postern_v1")]
extern "C" {
    fn event(dst: *mut u8, cap: usize) -> i32;
    fn get(path: *const u8, plen: usize, dst: *mut u8, cap: usize) -> i32;
    fn header(name: *const u8, nlen: usize, index: i32, dst: *mut u8, cap: usize) -> i32;
    fn header_count(name: *const u8, nlen: usize) -> i32;
    fn part(part: i32, offset: i64, dst: *mut u8, cap: usize) -> i32;
    fn verdict(doc: *const u8, len: usize) -> i32;
    #[link_name = "log"]
    fn host_log(level: i32, text: *const u8, len: usize);
    #[link_name = "config"]
    fn host_config(key: *const u8, klen: usize, dst: *mut u8, cap: usize) -> i32;
    #[link_name = "now"]
    fn host_now() -> i64;
    fn kv_get(key: *const u8, klen: usize, dst: *mut u8, cap: usize) -> i32;
    fn kv_put(key: *const u8, klen: usize, val: *const u8, vlen: usize, ttl: i64) -> i32;
    fn kv_delete(key: *const u8, klen: usize) -> i32;
    fn kv_incr(key: *const u8, klen: usize, delta: i64, ttl: i64) -> i64;
    fn kv_list(prefix: *const u8, plen: usize, cursor: *const u8, clen: usize, dst: *mut u8, cap: usize) -> i32;
    #[link_name = "http"]
    fn host_http(request: *const u8, len: usize) -> i32;
    fn http_read(handle: i32, offset: i64, dst: *mut u8, cap: usize) -> i32;
    #[link_name = "send"]
    fn host_send(mail: *const u8, len: usize) -> i32;
    fn thread(dst: *mut u8, cap: usize) -> i32;
}

/// Why the gateway did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

pub const ABSENT: Errno = Errno(-1);
pub const DENIED: Errno = Errno(-2);
pub const BAD_ARGUMENT: Errno = Errno(-3);
pub const OVER_QUOTA: Errno = Errno(-4);
pub const HOST_FAILURE: Errno = Errno(-5);
pub const TOO_LARGE: Errno = Errno(-6);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match *self {
            ABSENT => "there is no such thing",
            DENIED => "the plugin was not granted this",
            BAD_ARGUMENT => "bad argument",
            OVER_QUOTA => "over quota",
            TOO_LARGE => "too large",
            _ => "the gateway failed",
        })
    }
}

impl Error for Errno {}

fn done(n: i32) -> Result<(), Errno> {
    if n < 0 { Err(Errno(n)) } else { Ok(()) }
}

/// Calls an import that answers with bytes, again with more room if they are many.
fn read(ask: impl Fn(*mut u8, usize) -> i32) -> Result<Vec<u8>, Errno> {
    let mut room = Vec::with_capacity(256);
    loop {
        let n = ask(room.as_mut_ptr(), room.capacity());
        done(n)?;
        if n as usize <= room.capacity() {
            unsafe { room.set_len(n as usize) }; // which the gateway wrote
            return Ok(room);
        }
        room.reserve_exact(n as usize);
    }
}

fn read_text(ask: impl Fn(*mut u8, usize) -> i32) -> Result<String, Errno> {
    read(ask).map(|b| String::from_utf8(b).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// A mailbox with its display name.
#[derive(Clone, Debug, Default)]
pub struct Address {
    pub name: String,
    pub addr: String,
}

/// Who really sent a message: results such as pass, fail and none.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    pub spf: String,
    pub dkim: String,
    pub dmarc: String,
    pub from_aligned: bool,
    pub disposition: String,
}

/// The message that a hook is about. Its methods ask the gateway, so a plugin pays for
/// what it looks at. What is absent is empty.
pub struct Message(());

impl Message {
    /// One value of the event document by its path, such as `to.0.addr`.
    pub fn get(&self, path: &str) -> Option<String> {
        read_text(|dst, cap| unsafe { get(path.as_ptr(), path.len(), dst, cap) }).ok()
    }
    fn value(&self, path: &str) -> String { self.get(path).unwrap_or_default() }
    fn truth(&self, path: &str) -> bool { self.value(path) == "true" }
    fn values(&self, path: &str) -> Vec<String> { (0..).map_while(|i| self.get(&format!("{}.{}", path, i))).collect() }
    fn address(&self, path: &str) -> Option<Address> {
        let addr = self.get(&format!("{}.addr", path))?;
        Some(Address { name: self.value(&format!("{}.name", path)), addr })
    }
    fn addresses(&self, path: &str) -> Vec<Address> { (0..).map_while(|i| self.address(&format!("{}.{}", path, i))).collect() }

    pub fn subject(&self) -> String { self.value("subject") }
    /// Whether the subject contains one of some words; case does not matter.
    pub fn subject_contains(&self, words: &[&str]) -> bool {
        let subject = self.subject().to_lowercase();
        words.iter().any(|w| subject.contains(&w.to_lowercase()))
    }
    /// The first header field of a name, decoded and unfolded.
    pub fn header(&self, name: &str) -> String { self.header_at(name, 0) }
    /// The i-th from the top; -1 is the last.
    pub fn header_at(&self, name: &str, i: i32) -> String {
        read_text(|dst, cap| unsafe { header(name.as_ptr(), name.len(), i, dst, cap) }).unwrap_or_default()
    }
    pub fn header_count(&self, name: &str) -> usize { unsafe { header_count(name.as_ptr(), name.len()).max(0) as usize } }
    pub fn has_header(&self, name: &str) -> bool { self.header_count(name) > 0 }
    pub fn from(&self) -> Address { self.address("from").unwrap_or_default() }
    pub fn to(&self) -> Vec<Address> { self.addresses("to") }
    pub fn cc(&self) -> Vec<Address> { self.addresses("cc") }
    /// The addresses that the envelope names.
    pub fn recipients(&self) -> Vec<String> { self.values("envelope.rcpt_to") }
    pub fn auth(&self) -> Auth {
        Auth {
            spf: self.value("auth.spf"), dkim: self.value("auth.dkim"), dmarc: self.value("auth.dmarc"),
            from_aligned: self.truth("auth.from_aligned"), disposition: self.value("auth.disposition"),
        }
    }
    /// Whether an automatic reply would do no harm.
    pub fn reply_ok(&self) -> bool { self.truth("automated.reply_ok") }
    /// Whether somebody only tries the plugin: nothing is done of what it decides.
    pub fn dry_run(&self) -> bool { self.truth("dry_run") }
    /// The start of the text that people see, at most `most` bytes; there are 16 KiB.
    pub fn text(&self, most: usize) -> String {
        let mut text = self.value("text");
        let end = (0..=most.min(text.len())).rev().find(|&i| text.is_char_boundary(i));
        text.truncate(end.unwrap_or(0));
        text
    }
    pub fn bcc(&self) -> Vec<Address> { self.addresses("bcc") }
    pub fn reply_to(&self) -> Vec<Address> { self.addresses("reply_to") }
    pub fn in_reply_to(&self) -> String { self.value("in_reply_to") }
    pub fn references(&self) -> Vec<String> { self.values("references") }
    pub fn size(&self) -> i64 { self.value("size").parse().unwrap_or(0) }
    /// The gateway's, a UUID; empty while it has none.
    pub fn id(&self) -> String { self.value("message_id") }
    pub fn domain(&self) -> String { self.value("domain") }
    /// The Message-ID that its sender gave it, with angle brackets.
    pub fn message_id(&self) -> String { self.value("rfc_message_id") }
    /// Whose message it is; empty for a domain's plugin that is asked about arriving mail.
    pub fn mailbox(&self) -> String { self.value("mailbox") }
    pub fn thread_id(&self) -> String { self.value("thread_id") }
    pub fn new_thread_id(&self) -> String { self.value("new_thread_id") }
    pub fn via(&self) -> String { self.value("via") }
    pub fn folder(&self) -> String { self.value("folder") }
    pub fn labels(&self) -> Vec<String> { self.values("labels") }
    pub fn flags(&self) -> Vec<String> { self.values("flags") }
    /// The sum of what plugins asked before gave it.
    pub fn score(&self) -> f64 { self.value("score").parse().unwrap_or(0.0) }
    /// Event hook: what happened, such as email.received.
    pub fn kind(&self) -> String { self.value("type") }
    /// Event hook: the same each time it is tried.
    pub fn event_id(&self) -> String { self.value("id") }
    pub fn attempt(&self) -> i64 { self.value("attempt").parse().unwrap_or(0) }
    pub fn detail(&self) -> String { self.value("detail") }
    /// The whole event document.
    pub fn event(&self) -> Result<Json, Errno> { read_text(|dst, cap| unsafe { event(dst, cap) }).map(Json) }
    /// The message's conversation: thread_id, subject, count, messages.0.text and so on.
    pub fn thread(&self) -> Result<Json, Errno> { read_text(|dst, cap| unsafe { thread(dst, cap) }).map(Json) }
    /// Reads the decoded bytes of a MIME part; -1 is the message as it came.
    pub fn part(&self, i: i32) -> Part { Part { part: i, offset: 0 } }
}

/// A MIME part that is read from `offset` on.
pub struct Part {
    part: i32,
    pub offset: i64,
}

impl io::Read for Part {
    fn read(&mut self, p: &mut [u8]) -> io::Result<usize> {
        let n = unsafe { part(self.part, self.offset, p.as_mut_ptr(), p.len()) };
        done(n).map_err(|e| io::Error::new(io::ErrorKind::Other, e))?;
        self.offset += n as i64;
        Ok(n as usize)
    }
}

/// What the plugin remembers, for each place where it is installed. Permission kv.
pub mod kv {
    use super::*;
    pub fn get(key: &str) -> Option<Vec<u8>> {
        read(|dst, cap| unsafe { kv_get(key.as_ptr(), key.len(), dst, cap) }).ok()
    }
    /// A key has 1 to 512 bytes, a value at most 64 KiB; 0 seconds is for good. It lasts if
    /// the call ends well.
    pub fn put(key: &str, value: impl AsRef<[u8]>, ttl_seconds: i64) -> Result<(), Errno> {
        let v = value.as_ref();
        done(unsafe { kv_put(key.as_ptr(), key.len(), v.as_ptr(), v.len(), ttl_seconds) })
    }
    pub fn delete(key: &str) -> Result<(), Errno> { done(unsafe { kv_delete(key.as_ptr(), key.len()) }) }
    /// Adds to a counter at once, whatever becomes of the call, and returns its value.
    pub fn incr(key: &str, delta: i64, ttl_seconds: i64) -> Result<i64, Errno> {
        let n = unsafe { kv_incr(key.as_ptr(), key.len(), delta, ttl_seconds) };
        if n < 0 { Err(Errno(n as i32)) } else { Ok(n) }
    }
    /// The keys that begin with a prefix, in their order.
    pub fn list(prefix: &str) -> Result<Vec<String>, Errno> {
        let (mut keys, mut next) = (Vec::new(), String::new());
        loop {
            let page = Json(read_text(|dst, cap| unsafe { kv_list(prefix.as_ptr(), prefix.len(), next.as_ptr(), next.len(), dst, cap) })?);
            keys.extend((0..).map_while(|i| page.get(&format!("keys.{}", i))));
            next = page.string("next");
            if next.is_empty() { return Ok(keys); }
        }
    }
}

/// Asks the hosts that the manifest names. Permission http; event and tick hooks.
pub mod http {
    use super::*;
    pub struct Request(Object);
    /// An answer, whatever its status.
    pub struct Response { pub status: i64, pub head: Json, handle: i32 }

    pub fn request(method: &str, url: &str) -> Request { Request(Object::default().set("method", method).set("url", url)) }
    pub fn get(url: &str) -> Result<Response, Errno> { request("GET", url).fetch() }
    /// Sends a JSON text, as an `Object` writes one, with a bearer's token unless that is empty.
    pub fn post_json(url: &str, json: &str, token: &str) -> Result<Response, Errno> {
        let r = request("POST", url).header("Content-Type", "application/json").body(json);
        if token.is_empty() { r.fetch() } else { r.header("Authorization", &format!("Bearer {}", token)).fetch() }
    }
    impl Request {
        pub fn header(self, name: &str, value: &str) -> Self {
            Request(self.0.grow("headers", '[', ']', &format!("[{},{}]", quote(name), quote(value))))
        }
        pub fn body(self, text: &str) -> Self { Request(self.0.set("body", text)) }
        pub fn fetch(self) -> Result<Response, Errno> {
            let doc = self.0.write();
            let handle = unsafe { host_http(doc.as_ptr(), doc.len()) };
            done(handle)?;
            let head = Json(read_text(|dst, cap| unsafe { http_read(handle, -1, dst, cap) })?);
            Ok(Response { status: head.string("status").parse().unwrap_or(0), head, handle })
        }
    }
    impl Response {
        /// The first header field of a name.
        pub fn header(&self, name: &str) -> String {
            let field = (0..).map_while(|i| self.head.get(&format!("headers.{}.0", i))).position(|n| n.eq_ignore_ascii_case(name));
            field.map(|i| self.head.string(&format!("headers.{}.1", i))).unwrap_or_default()
        }
        pub fn body(&self) -> Result<Vec<u8>, Errno> {
            let size = self.head.string("size").parse().unwrap_or(0);
            let mut body = vec![0; size];
            let mut at = 0;
            while at < size {
                let n = unsafe { http_read(self.handle, at as i64, body.as_mut_ptr().add(at), size - at) };
                done(n)?;
                if n == 0 { break; }
                at += n as usize;
            }
            body.truncate(at);
            Ok(body)
        }
        /// One value of a body in JSON, by its path; empty if there is none.
        pub fn string(&self, path: &str) -> String { self.json().map(|j| j.string(path)).unwrap_or_default() }
        pub fn json(&self) -> Result<Json, Errno> { Ok(Json(String::from_utf8_lossy(&self.body()?).into_owned())) }
    }
}

/// A setting of this installation; empty if it is not set.
pub fn config(key: &str) -> String {
    read_text(|dst, cap| unsafe { host_config(key.as_ptr(), key.len(), dst, cap) }).unwrap_or_default()
}
/// A setting that nobody is shown; empty if it is not set.
pub fn secret(key: &str) -> String { config(key) }
/// The time of the call in Unix milliseconds: it stands still while a hook runs.
pub fn now() -> i64 { unsafe { host_now() } }

/// The log that the tenant reads: at most 64 lines a call, of 1 KiB.
pub mod log {
    pub fn debug(text: &str) { write(0, text) }
    pub fn info(text: &str) { write(1, text) }
    pub fn warn(text: &str) { write(2, text) }
    pub fn error(text: &str) { write(3, text) }
    fn write(level: i32, text: &str) { unsafe { super::host_log(level, text.as_ptr(), text.len()) } }
}

/// A JSON object that is being written.
#[derive(Clone, Default)]
pub struct Object(Vec<(&'static str, String)>);

impl Object {
    fn raw(mut self, name: &'static str, json: String) -> Self {
        self.0.retain(|m| m.0 != name);
        self.0.push((name, json));
        self
    }
    /// Adds to a member that is an array or an object.
    fn grow(mut self, name: &'static str, open: char, close: char, json: &str) -> Self {
        match self.0.iter_mut().find(|m| m.0 == name) {
            Some((_, list)) => { list.pop(); list.push(','); list.push_str(json); list.push(close); }
            None => self.0.push((name, [open.encode_utf8(&mut [0; 4]), json, close.encode_utf8(&mut [0; 4])].concat())),
        }
        self
    }
    fn list(self, name: &'static str, text: &str) -> Self { self.grow(name, '[', ']', &quote(text)) }
    fn pair(self, name: &'static str, tag: &str, value: &str) -> Self {
        self.grow(name, '[', ']', &Object::default().set("name", tag).set("value", value).write())
    }
    /// Sets a member to a text.
    pub fn set(self, name: &'static str, text: &str) -> Self { self.raw(name, quote(text)) }
    pub fn number(self, name: &'static str, n: f64) -> Self { if n.is_finite() { self.raw(name, n.to_string()) } else { self } }
    pub fn write(&self) -> String {
        let mut out = String::with_capacity(128);
        for (i, (name, json)) in self.0.iter().enumerate() {
            out.push_str(if i == 0 { "{\"" } else { ",\"" });
            out.push_str(name);
            out.push_str("\":");
            out.push_str(json);
        }
        out.push_str(if self.0.is_empty() { "{}" } else { "}" });
        out
    }
}

/// A text as JSON writes it.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    if text.bytes().all(|c| c >= b' ' && c != b'"' && c != b'\\') {
        out.push_str(text);
        out.push('"');
        return out;
    }
    for c in text.chars() {
        match c {
            '"' | '\\' => { out.push('\\'); out.push(c) }
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A JSON document that is read by paths such as `messages.0.text`.
#[derive(Clone, Debug, Default)]
pub struct Json(pub String);

impl Json {
    /// A text without its quotes; anything else as it is written.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut s = Scan { b: self.0.as_bytes(), at: 0 };
        s.space();
        for step in path.split('.').filter(|p| !p.is_empty()) {
            s.enter(step)?;
        }
        match s.peek() {
            b'"' => s.string(),
            _ => { let from = s.at; s.skip(); self.0.get(from..s.at).filter(|v| !matches!(*v, "" | "null")).map(String::from) }
        }
    }
    /// Likewise; empty if there is none.
    pub fn string(&self, path: &str) -> String { self.get(path).unwrap_or_default() }
}

struct Scan<'a> { b: &'a [u8], at: usize }

impl Scan<'_> {
    fn peek(&self) -> u8 { *self.b.get(self.at).unwrap_or(&0) }
    fn space(&mut self) { while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') { self.at += 1 } }
    fn take(&mut self, c: u8) -> bool {
        self.space();
        let found = self.peek() == c;
        if found { self.at += 1; self.space() }
        found
    }
    /// Goes to a member or an element of the value that is here.
    fn enter(&mut self, step: &str) -> Option<()> {
        let (array, mut i) = (self.peek() == b'[', 0);
        if !array && self.peek() != b'{' || self.b.len() <= self.at + 1 { return None; }
        self.at += 1;
        self.space();
        while !matches!(self.peek(), b']' | b'}' | 0) {
            let found = if array { i.to_string() == step } else { let name = self.string()?; self.take(b':'); name == step };
            if found { return Some(()); }
            self.skip();
            if !self.take(b',') { return None; }
            i += 1;
        }
        None
    }
    /// Goes behind the value that is here, however deep it is.
    fn skip(&mut self) {
        let mut depth = 0;
        while self.at < self.b.len() {
            match self.peek() {
                b'"' => { self.quoted(); if depth == 0 { return } continue }
                b'[' | b'{' => depth += 1,
                b']' | b'}' if depth == 0 => return,
                b']' | b'}' => { depth -= 1; if depth == 0 { self.at += 1; return } }
                b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return,
                _ => {}
            }
            self.at += 1;
        }
    }
    fn quoted(&mut self) -> &[u8] {
        let from = self.at + 1;
        self.at = from;
        while self.at < self.b.len() && self.peek() != b'"' { self.at += if self.peek() == b'\\' { 2 } else { 1 } }
        self.at = self.at.min(self.b.len());
        let s = &self.b[from..self.at];
        self.at += 1;
        s
    }
    fn string(&mut self) -> Option<String> {
        if self.peek() != b'"' { return None; }
        let (mut units, raw) = (Vec::new(), String::from_utf8_lossy(self.quoted()).into_owned());
        let mut c = raw.chars();
        while let Some(ch) = c.next() {
            let plain = match ch {
                '\\' => match c.next()? {
                    'n' => '\n', 't' => '\t', 'r' => '\r', 'b' => '\u{8}', 'f' => '\u{c}',
                    'u' => { units.push(u16::from_str_radix(c.as_str().get(..4)?, 16).ok()?); c.nth(3); continue }
                    other => other,
                },
                ch => ch,
            };
            units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
        }
        Some(String::from_utf16_lossy(&units))
    }
}

/// What a hook decides. Its methods return it with something added.
#[derive(Clone, Default)]
pub struct Verdict(Object);

fn act(action: &str) -> Verdict { Verdict(Object::default().set("action", action)) }
fn refuse(action: &str, code: f64, text: &str) -> Verdict {
    Verdict(act(action).0.raw("smtp", Object::default().number("code", code).set("text", text).write()))
}
fn moved(op: &str, id: &str, with: &[&str]) -> Verdict {
    let start = Object::default().set("op", op).set("thread_id", id);
    Verdict(Object::default().raw("thread", with.iter().fold(start, |o, id| o.list("with", id)).write()))
}

/// Inbound: takes the message.
pub fn accept() -> Verdict { act("accept") }
/// Refuses it for good: code is 550 to 559, or 0 for 550; text is one line for its sender.
pub fn reject(code: u16, text: &str) -> Verdict { refuse("reject", code.into(), text) }
/// Asks its sender to try again later.
pub fn tempfail(text: &str) -> Verdict { refuse("tempfail", 0.0, text) }
/// Files it in Junk.
pub fn quarantine(reason: &str) -> Verdict { act("quarantine").reason(reason) }
/// Drops it; its sender hears that all is well. Permission discard.
pub fn discard() -> Verdict { act("discard") }
/// Outbound: lets mail leave.
pub fn allow() -> Verdict { act("allow") }
/// Refuses mail that wants to leave; its sender is told text at once.
pub fn deny(text: &str) -> Verdict { refuse("deny", 0.0, text) }
/// Keeps mail that wants to leave until somebody releases it.
pub fn hold(reason: &str) -> Verdict { act("hold").reason(reason) }
/// Until then, in Unix milliseconds, unless somebody releases it before.
pub fn hold_until(reason: &str, ms: i64) -> Verdict {
    Verdict(hold(reason).0.raw("hold", Object::default().set("until", &rfc3339(ms)).write()))
}
/// Thread: puts the message into a conversation of its mailbox. Permission thread, here and below.
pub fn join(thread_id: &str) -> Verdict { moved("join", thread_id, &[]) }
/// Starts a conversation with it: `new_thread_id`.
pub fn new_thread() -> Verdict { moved("new", "", &[]) }
/// Joins one (empty: where it goes anyway), and has the other conversations go there, too.
pub fn merge(thread_id: &str, with: &[&str]) -> Verdict { moved("merge", thread_id, with) }
/// Starts a conversation with it and those messages of its mailbox.
pub fn split(with: &[&str]) -> Verdict { moved("split", "", with) }

impl Verdict {
    fn list(self, name: &'static str, text: &str) -> Self { Verdict(self.0.list(name, text)) }
    fn header(self, op: &str, name: &str, value: &str) -> Self {
        let edit = Object::default().set("op", op).set("name", name).set("value", value);
        Verdict(self.0.grow("headers", '[', ']', &edit.write()))
    }
    /// Files the message there; the folder is made if there is none.
    pub fn folder(self, name: &str) -> Self { Verdict(self.0.set("folder", name)) }
    /// Adds a label, which is an IMAP keyword: 1 to 64 letters, digits and marks.
    pub fn label(self, label: &str) -> Self { self.list("labels", label) }
    pub fn unlabel(self, label: &str) -> Self { self.list("unlabel", label) }
    /// Sets a flag: \\Seen, \\Flagged or \\Answered.
    pub fn flag(self, flag: &str) -> Self { self.list("flags", flag) }
    /// Sends it on to an address, instead of keeping it. Permission redirect.
    pub fn redirect(self, addr: &str) -> Self { self.list("redirect", addr) }
    /// Keeps what is redirected, too.
    pub fn keep(self) -> Self { Verdict(self.0.raw("keep", "true".into())) }
    /// Adds a header field. Permission headers, here and below.
    pub fn add_header(self, name: &str, value: &str) -> Self { self.header("add", name, value) }
    /// Outbound: makes it the only one of its name.
    pub fn set_header(self, name: &str, value: &str) -> Self { self.header("set", name, value) }
    /// Outbound: takes away all of a name.
    pub fn delete_header(self, name: &str) -> Self { self.header("delete", name, "") }
    /// Outbound: another subject. Permission body, as for a body.
    pub fn subject(self, text: &str) -> Self { Verdict(self.0.set("subject", text)) }
    /// Outbound: another text; what is empty is not there any more.
    pub fn body(self, text: &str, html: &str) -> Self {
        Verdict(self.0.raw("body", Object::default().set("text", text).set("html", html).write()))
    }
    /// Outbound: adds a tag.
    pub fn tag(self, name: &str, value: &str) -> Self { Verdict(self.0.pair("tags", name, value)) }
    /// Outbound: a recipient that does not get it. Permission rcpt.
    pub fn remove(self, addr: &str) -> Self { self.list("remove", addr) }
    /// Answers the message. Permission reply.
    pub fn reply(self, r: Reply) -> Self { Verdict(self.0.raw("reply", r.0.write())) }
    pub fn score(self, score: f64) -> Self { Verdict(self.0.number("score", score)) }
    /// Why, for the tenant.
    pub fn reason(self, text: &str) -> Self { Verdict(self.0.set("reason", text)) }
    /// The last word: no plugin after this one is asked. (`final` is Rust's.)
    pub fn final_(self) -> Self { Verdict(self.0.raw("final", "true".into())) }
}

/// A time in Unix milliseconds as RFC 3339 writes it, in whole seconds.
pub fn rfc3339(ms: i64) -> String {
    let (days, second) = (ms.div_euclid(86_400_000) + 719_468, ms.rem_euclid(86_400_000) / 1000);
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097)); // years begin in March
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let m = (5 * of_year + 2) / 153;
    let month = if m < 10 { m + 3 } else { m - 9 };
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", year + era * 400 + (month < 3) as i64, month,
        of_year - (153 * m + 2) / 5 + 1, second / 3600, second / 60 % 60, second % 60)
}

/// What answers a message: `text("...")` or `html("...")`, with more if need be.
pub struct Reply(Object);

pub fn text(text: &str) -> Reply { Reply(Object::default()).text(text) }
pub fn html(html: &str) -> Reply { Reply(Object::default()).html(html) }

impl Reply {
    pub fn text(self, text: &str) -> Self { Reply(self.0.set("text", text)) }
    pub fn html(self, html: &str) -> Self { Reply(self.0.set("html", html)) }
    pub fn subject(self, text: &str) -> Self { Reply(self.0.set("subject", text)) }
    pub fn from(self, addr: &str) -> Self { Reply(self.0.set("from", addr)) }
}

/// Mail that stands for itself: `mail("ann@example.com").subject("...").text("...")`.
pub struct Mail(Object);

pub fn mail(to: &str) -> Mail { Mail(Object::default()).to(to) }

impl Mail {
    pub fn from(self, addr: &str) -> Self { Mail(self.0.set("from", addr)) }
    pub fn to(self, addr: &str) -> Self { Mail(self.0.list("to", addr)) }
    pub fn cc(self, addr: &str) -> Self { Mail(self.0.list("cc", addr)) }
    pub fn bcc(self, addr: &str) -> Self { Mail(self.0.list("bcc", addr)) }
    pub fn reply_to(self, addr: &str) -> Self { Mail(self.0.list("reply_to", addr)) }
    pub fn subject(self, text: &str) -> Self { Mail(self.0.set("subject", text)) }
    pub fn text(self, text: &str) -> Self { Mail(self.0.set("text", text)) }
    pub fn html(self, html: &str) -> Self { Mail(self.0.set("html", html)) }
    pub fn header(self, name: &str, value: &str) -> Self {
        Mail(self.0.grow("headers", '{', '}', &format!("{}:{}", quote(name), quote(value))))
    }
    pub fn tag(self, name: &str, value: &str) -> Self { Mail(self.0.pair("tags", name, value)) }
    /// The Message-ID, or the id, of what it answers.
    pub fn in_reply_to(self, id: &str) -> Self { Mail(self.0.set("in_reply_to", id)) }
    pub fn reference(self, id: &str) -> Self { Mail(self.0.list("references", id)) }
}

/// Sends mail once, if the call ends well. Permission send.
pub fn send(mail: Mail) -> Result<(), Errno> {
    let doc = mail.0.write();
    done(unsafe { host_send(doc.as_ptr(), doc.len()) })
}

/// What an event or tick hook fails with: `?` makes it of an `Errno`, `.into()` of a text.
pub type Failure = Box<dyn Error>;

/// For the macros below: asks a hook, and tells the gateway what it decided.
pub fn answer(hook: impl FnOnce(&Message) -> Result<Verdict, Failure>) -> i32 {
    let decided = hook(&Message(())).and_then(|v| {
        let doc = v.0.write();
        done(unsafe { verdict(doc.as_ptr(), doc.len()) }).map_err(|e| format!("the verdict is refused: {}", e).into())
    });
    status(decided)
}

/// Likewise: about no message there is nothing to decide.
pub fn ticked(hook: fn() -> Result<(), Failure>) -> i32 { status(hook()) }

fn status(r: Result<(), Failure>) -> i32 {
    r.map_or_else(|e| { log::error(&e.to_string()); 2 }, |()| 0)
}

/// Tick hook: when it was due, and when the one before was (empty for the first), RFC 3339.
pub fn scheduled() -> String { Message(()).value("scheduled") }
pub fn previous() -> String { Message(()).value("previous") }

macro_rules! postern_hook {
    ($name:ident, $m:ident, $f:expr) => {
        #[no_mangle]
        pub extern "C" fn $name() -> i32 { $crate::postern::answer(|$m| $f) }
    };
}
/// Decides about mail that arrives: a function of `&Message` that returns a `Verdict`.
macro_rules! inbound { ($f:expr) => { postern_hook! { postern_inbound, m, { let f: fn(&$crate::postern::Message) -> $crate::postern::Verdict = $f; Ok(f(m)) } } }; }
/// Decides about mail that leaves, while its sender waits.
macro_rules! outbound { ($f:expr) => { postern_hook! { postern_outbound, m, { let f: fn(&$crate::postern::Message) -> $crate::postern::Verdict = $f; Ok(f(m)) } } }; }
/// Decides which conversation a message belongs to.
macro_rules! thread { ($f:expr) => { postern_hook! { postern_thread, m, { let f: fn(&$crate::postern::Message) -> $crate::postern::Verdict = $f; Ok(f(m)) } } }; }
/// Is told what happened; a failure is tried again. Returns `Result<Verdict, Failure>`.
macro_rules! on_event { ($f:expr) => { postern_hook! { postern_event, m, { let f: fn(&$crate::postern::Message) -> Result<$crate::postern::Verdict, $crate::postern::Failure> = $f; f(m) } } }; }
/// Likewise, only of mail that was received.
macro_rules! on_stored { ($f:expr) => { on_event!(|m| if m.kind() == "email.received" { let f: fn(&$crate::postern::Message) -> Result<$crate::postern::Verdict, $crate::postern::Failure> = $f; f(m) } else { Ok($crate::postern::accept()) }); }; }
/// Is run at intervals, about no message. Returns `Result<(), Failure>`.
macro_rules! on_tick { ($f:expr) => { #[no_mangle] pub extern "C" fn postern_tick() -> i32 { $crate::postern::ticked($f) } }; }

/// How much memory calls find free: one whose memory has to grow costs its instance.
const HEADROOM: usize = 256 << 10;

/// What the gateway runs once, before the first call. 1: that is all there is to make ready.
#[no_mangle]
pub extern "C" fn postern_init() -> i32 {
    std::panic::set_hook(Box::new(|p| log::error(&p.to_string())));
    let mut room: Vec<u8> = Vec::with_capacity(HEADROOM);
    unsafe { event(room.as_mut_ptr(), HEADROOM) }; // so that the compiler leaves it in
    1
}
