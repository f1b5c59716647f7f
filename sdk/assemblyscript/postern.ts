// Postern's SDK for plugins in AssemblyScript: one file, which needs nothing but asc. Copy
// it next to your own and say what your plugin decides:
//
//	import { Message, Verdict, accept, inbound } from "./postern";
//	export { postern_init } from "./postern";
//
//	export function postern_inbound(): i32 {
//		return inbound((m: Message): Verdict => {
//			if (m.hasHeader("List-Unsubscribe")) return accept().folder("Newsletters").label("bulk");
//			return accept();
//		});
//	}
//
// Every call sees a fresh instance: a variable does not last, what is to last goes into
// KV. A throw is a failure, and the plugin's failure policy decides. What the words mean,
// and which permission each needs, is told in README.md beside this file.

// @ts-ignore: decorator
@external("postern_v1", "event") declare function hostEvent(dst: usize, cap: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "get") declare function hostGet(path: usize, plen: i32, dst: usize, cap: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "header") declare function hostHeader(name: usize, nlen: i32, index: i32, dst: usize, cap: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "header_count") declare function hostHeaderCount(name: usize, nlen: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "part") declare function hostPart(part: i32, offset: i64, dst: usize, cap: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "verdict") declare function hostVerdict(doc: usize, len: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "log") declare function hostLog(level: i32, text: usize, len: i32): void;
// @ts-ignore: decorator
@external("postern_v1", "config") declare function hostConfig(key: usize, klen: i32, dst: usize, cap: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "now") declare function hostNow(): i64;
// @ts-ignore: decorator
@external("postern_v1", "kv_get") declare function hostKVGet(key: usize, klen: i32, dst: usize, cap: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "kv_put") declare function hostKVPut(key: usize, klen: i32, val: usize, vlen: i32, ttl: i64): i32;
// @ts-ignore: decorator
@external("postern_v1", "kv_delete") declare function hostKVDelete(key: usize, klen: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "kv_incr") declare function hostKVIncr(key: usize, klen: i32, delta: i64, ttl: i64): i64;
// @ts-ignore: decorator
@external("postern_v1", "kv_list") declare function hostKVList(prefix: usize, plen: i32, cursor: usize, clen: i32, dst: usize, cap: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "http") declare function hostHTTP(request: usize, len: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "http_read") declare function hostHTTPRead(handle: i32, offset: i64, dst: usize, cap: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "send") declare function hostSend(mail: usize, len: i32): i32;
// @ts-ignore: decorator
@external("postern_v1", "thread") declare function hostThread(dst: usize, cap: i32): i32;

/** Why the gateway did not do what it was asked. */
export const ABSENT: i32 = -1, DENIED: i32 = -2, BAD_ARGUMENT: i32 = -3, OVER_QUOTA: i32 = -4, HOST_FAILURE: i32 = -5, TOO_LARGE: i32 = -6;

export function errorText(errno: i32): string {
  switch (errno) {
    case ABSENT: return "there is no such thing";
    case DENIED: return "the plugin was not granted this";
    case BAD_ARGUMENT: return "bad argument";
    case OVER_QUOTA: return "over quota";
    case TOO_LARGE: return "too large";
  }
  return "the gateway failed";
}

/** A text as UTF-8, for an import. Half of a surrogate pair becomes U+FFFD. */
function utf8(s: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(s, false, String.UTF8.ErrorMode.REPLACE));
}
function decoded(b: Uint8Array): string { return textAt(b.dataStart, b.length); }

/** The text that so many bytes of UTF-8 are. Most is ASCII: four characters at once. */
function textAt(at: usize, n: i32): string {
  const s = __new(<usize>n << 1, idof<string>());
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    let v = <u64>load<u32>(at + i);
    if ((v & 0x80808080) != 0) return String.UTF8.decodeUnsafe(at, n);
    v = (v | v << 16) & 0x0000ffff0000ffff;
    store<u64>(s + (i << 1), (v | v << 8) & 0x00ff00ff00ff00ff);
  }
  for (; i < n; i++) {
    const c = load<u8>(at + i);
    if (c >= 0x80) return String.UTF8.decodeUnsafe(at, n);
    store<u16>(s + (i << 1), c);
  }
  return changetype<string>(s);
}
/** Writes a text as UTF-8 where there is room for it; how many bytes that are. */
function writeText(text: string, to: usize): i32 {
  const at = changetype<usize>(text), n = text.length;
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    let v = load<u64>(at + (i << 1));
    if ((v & 0xff80ff80ff80ff80) != 0) break;
    v = (v | v >> 8) & 0x0000ffff0000ffff;
    store<u32>(to + i, <u32>(v | v >> 16));
  }
  return i + <i32>String.UTF8.encodeUnsafe(at + (i << 1), n - i, to + i, false, String.UTF8.ErrorMode.REPLACE);
}

/** What an import answered: bytes, or an error, which is negative. */
class Answer {
  constructor(public bytes: Uint8Array, public errno: i32) {}
  text(): string { return this.errno < 0 ? "" : decoded(this.bytes); }
}

/** Where short names and answers have their place: most are, and need no memory then. */
const SHORT: i32 = 512;
const shortName = memory.data(512), shortAnswer = memory.data(512);
let nameAt: usize = 0, nameLength: i32 = 0, longName: Uint8Array | null = null;
let answered: usize = 0, longAnswer: Uint8Array | null = null;

/** Has nameAt and nameLength be a text as UTF-8, until the next one. */
function named(text: string): void {
  if (text.length * 3 <= SHORT) {
    nameAt = shortName;
    nameLength = writeText(text, shortName);
    return;
  }
  const long = utf8(text);
  longName = long;
  nameAt = long.dataStart;
  nameLength = long.length;
}

type Import = (text: usize, len: i32, i: i32, dst: usize, cap: i32) => i32;

/** Calls an import that answers with bytes, again with more room if they are many: how many
 * there are, at answered until the next question, or an error. */
function ask(from: Import, about: string, i: i32): i32 {
  named(about);
  answered = shortAnswer;
  let n = from(nameAt, nameLength, i, answered, SHORT);
  if (n > SHORT) {
    const long = new Uint8Array(n);
    longAnswer = long;
    answered = long.dataStart;
    n = min(from(nameAt, nameLength, i, answered, n), n);
  }
  return n;
}
function read(from: Import, about: string, i: i32 = 0): Answer {
  const n = ask(from, about, i), long = longAnswer;
  if (n > SHORT && long !== null) return new Answer(long.subarray(0, n), 0);
  const bytes = new Uint8Array(max(n, 0));
  memory.copy(bytes.dataStart, answered, bytes.length);
  return new Answer(bytes, min(n, 0));
}
function readText(from: Import, about: string, i: i32 = 0): string {
  const n = ask(from, about, i);
  return n > 0 ? textAt(answered, n) : "";
}
function readMaybe(from: Import, about: string): string | null {
  const n = ask(from, about, 0);
  return n < 0 ? null : textAt(answered, n);
}

/** A mailbox with its display name. */
export class Address {
  constructor(public name: string, public addr: string) {}
}

/** Who really sent a message: results such as pass, fail and none. */
export class Auth {
  constructor(public spf: string, public dkim: string, public dmarc: string, public fromAligned: bool, public disposition: string) {}
}

function value(path: string): string { return readText((p, n, _i, dst, cap) => hostGet(p, n, dst, cap), path); }
function values(path: string): string[] {
  const list: string[] = [];
  for (let i = 0; ; i++) {
    const v = message.get(path + "." + i.toString());
    if (v === null) break;
    list.push(v);
  }
  return list;
}
function addresses(path: string): Address[] {
  const list: Address[] = [];
  for (let i = 0; ; i++) {
    const at = path + "." + i.toString();
    const addr = message.get(at + ".addr");
    if (addr === null) break;
    list.push(new Address(value(at + ".name"), addr));
  }
  return list;
}

/** The message that a hook is about. Its methods ask the gateway, so a plugin pays for
 * what it looks at. What is absent is empty. */
export class Message {
  /** One value of the event document by its path, such as to.0.addr. */
  get(path: string): string | null { return readMaybe((p, n, _i, dst, cap) => hostGet(p, n, dst, cap), path); }
  subject(): string { return value("subject"); }
  /** Whether the subject contains one of some words; case does not matter. */
  subjectContains(words: string[]): bool {
    const subject = this.subject().toLowerCase();
    for (let i = 0; i < words.length; i++) {
      if (subject.includes(words[i].toLowerCase())) return true;
    }
    return false;
  }
  /** The first header field of a name, decoded and unfolded. */
  header(name: string): string { return this.headerAt(name, 0); }
  /** The i-th from the top; -1 is the last. */
  headerAt(name: string, i: i32): string { return readText((p, n, i, dst, cap) => hostHeader(p, n, i, dst, cap), name, i); }
  headerCount(name: string): i32 {
    named(name);
    return max(hostHeaderCount(nameAt, nameLength), 0);
  }
  hasHeader(name: string): bool { return this.headerCount(name) > 0; }
  from(): Address { return new Address(value("from.name"), value("from.addr")); }
  to(): Address[] { return addresses("to"); }
  cc(): Address[] { return addresses("cc"); }
  /** The addresses that the envelope names. */
  recipients(): string[] { return values("envelope.rcpt_to"); }
  auth(): Auth {
    return new Auth(value("auth.spf"), value("auth.dkim"), value("auth.dmarc"), value("auth.from_aligned") == "true", value("auth.disposition"));
  }
  /** Whether an automatic reply would do no harm. */
  replyOK(): bool { return value("automated.reply_ok") == "true"; }
  /** Whether somebody only tries the plugin: nothing is done of what it decides. */
  dryRun(): bool { return value("dry_run") == "true"; }
  /** The start of the text that people see, at most most bytes; there are 16 KiB. */
  text(most: i32): string {
    const b = utf8(value("text"));
    if (b.length <= most) return decoded(b);
    while (most > 0 && (b[most] & 0xc0) == 0x80) most--;
    return decoded(b.subarray(0, max(most, 0)));
  }
  bcc(): Address[] { return addresses("bcc"); }
  replyTo(): Address[] { return addresses("reply_to"); }
  inReplyTo(): string { return value("in_reply_to"); }
  references(): string[] { return values("references"); }
  size(): i64 { return I64.parseInt("0" + value("size")); }
  /** The gateway's, a UUID; empty while it has none. */
  id(): string { return value("message_id"); }
  domain(): string { return value("domain"); }
  /** The Message-ID that its sender gave it, with angle brackets. */
  messageID(): string { return value("rfc_message_id"); }
  /** Whose message it is; empty for a domain's plugin that is asked about arriving mail. */
  mailbox(): string { return value("mailbox"); }
  threadID(): string { return value("thread_id"); }
  newThreadID(): string { return value("new_thread_id"); }
  via(): string { return value("via"); }
  folder(): string { return value("folder"); }
  labels(): string[] { return values("labels"); }
  flags(): string[] { return values("flags"); }
  /** The sum of what plugins asked before gave it. */
  score(): f64 { return parseFloat(value("score")); }
  /** Event hook: what happened, such as email.received. */
  type(): string { return value("type"); }
  /** Event hook: the same each time it is tried. */
  eventID(): string { return value("id"); }
  attempt(): i64 { return I64.parseInt("0" + value("attempt")); }
  detail(): string { return value("detail"); }
  /** The whole event document. */
  event(): Json { return new Json(read((_p, _n, _i, dst, cap) => hostEvent(dst, cap), "")); }
  /** The message's conversation: thread_id, subject, count, messages.0.text and so on. */
  thread(): Json { return new Json(read((_p, _n, _i, dst, cap) => hostThread(dst, cap), "")); }
  /** Reads decoded bytes of a MIME part from an offset on: how many, 0 at its end, or an
   * error. Part -1 is the message as it came. */
  part(i: i32, offset: i64, into: Uint8Array): i32 { return hostPart(i, offset, into.dataStart, into.length); }
}
const message = new Message();

/** What the plugin remembers, for each place where it is installed. Permission kv. What
 * changes it returns 0 or an error. */
export namespace KV {
  export function get(key: string): string | null { return readMaybe((p, n, _i, dst, cap) => hostKVGet(p, n, dst, cap), key); }
  export function getBytes(key: string): Uint8Array | null {
    const a = read((p, n, _i, dst, cap) => hostKVGet(p, n, dst, cap), key);
    return a.errno < 0 ? null : a.bytes;
  }
  /** A key has 1 to 512 bytes, a value at most 64 KiB; 0 seconds is for good. It lasts if
   * the call ends well. */
  export function put(key: string, value: string, ttlSeconds: i64): i32 { return putBytes(key, utf8(value), ttlSeconds); }
  export function putBytes(key: string, value: Uint8Array, ttlSeconds: i64): i32 {
    const k = utf8(key);
    return hostKVPut(k.dataStart, k.length, value.dataStart, value.length, ttlSeconds);
  }
  export function remove(key: string): i32 { // delete is a word of the language
    const k = utf8(key);
    return hostKVDelete(k.dataStart, k.length);
  }
  /** Adds to a counter at once, whatever becomes of the call: its value, or an error. */
  export function incr(key: string, delta: i64, ttlSeconds: i64): i64 {
    const k = utf8(key);
    return hostKVIncr(k.dataStart, k.length, delta, ttlSeconds);
  }
  /** The keys that begin with a prefix, in their order; null on an error, which listError names. */
  export function list(prefix: string): string[] | null {
    const keys: string[] = [];
    cursor = new Uint8Array(0);
    do {
      const page = new Json(read((p, n, _i, dst, cap) => hostKVList(p, n, cursor.dataStart, cursor.length, dst, cap), prefix));
      listError = page.errno;
      if (page.errno < 0) return null;
      for (let i = 0; ; i++) {
        const key = page.get("keys." + i.toString());
        if (key === null) break;
        keys.push(key);
      }
      cursor = utf8(page.string("next"));
    } while (cursor.length > 0);
    return keys;
  }
  export let listError: i32 = 0;
}
let cursor: Uint8Array = new Uint8Array(0); // of the page that is asked for

/** Asks the hosts that the manifest names. Permission http; event and tick hooks. */
export namespace HTTP {
  export function get(url: string): Response { return new Request("GET", url).fetch(); }
  /** Sends a JSON text, as an Obj writes one, with a bearer's token unless that is empty. */
  export function postJSON(url: string, json: string, token: string): Response {
    const r = new Request("POST", url).header("Content-Type", "application/json").body(json);
    return (token == "" ? r : r.header("Authorization", "Bearer " + token)).fetch();
  }
}
export class Request {
  doc: Obj = new Obj();
  constructor(method: string, url: string) { this.doc.set("method", method).set("url", url); }
  header(name: string, value: string): this {
    this.doc.grow("headers", "[", "[" + quote(name) + "," + quote(value) + "]", "]");
    return this;
  }
  body(text: string): this { this.doc.set("body", text); return this; }
  fetch(): Response {
    const doc = utf8(this.doc.write());
    return new Response(hostHTTP(doc.dataStart, doc.length));
  }
}
/** An answer, whatever its status; errno is negative if there is none. */
export class Response {
  errno: i32;
  status: i32 = 0;
  head: Json;
  constructor(private handle: i32) {
    const a = handle < 0 ? new Answer(new Uint8Array(0), handle) : read((_p, _n, i, dst, cap) => hostHTTPRead(i, -1, dst, cap), "", handle);
    this.head = new Json(a);
    this.errno = a.errno;
    if (a.errno == 0) this.status = I32.parseInt("0" + this.head.string("status"));
  }
  /** The first header field of a name. */
  header(name: string): string {
    for (let i = 0; ; i++) {
      const at = "headers." + i.toString();
      const field = this.head.get(at + ".0");
      if (field === null) break;
      if (field.toLowerCase() == name.toLowerCase()) return this.head.string(at + ".1");
    }
    return "";
  }
  body(): Uint8Array {
    const room = new Uint8Array(I32.parseInt("0" + this.head.string("size")));
    let at = 0;
    while (at < room.length) {
      const n = hostHTTPRead(this.handle, at, room.dataStart + at, room.length - at);
      if (n < 0) this.errno = n;
      if (n <= 0) break;
      at += n;
    }
    return room.subarray(0, at);
  }
  text(): string { return decoded(this.body()); }
  /** One value of a body in JSON, by its path; empty if there is none. */
  string(path: string): string { return this.json().string(path); }
  json(): Json { return new Json(new Answer(this.body(), this.errno)); }
}

/** A setting of this installation; empty if it is not set. */
export function config(key: string): string { return readText((p, n, _i, dst, cap) => hostConfig(p, n, dst, cap), key); }
/** A setting that nobody is shown; empty if it is not set. */
export function secret(key: string): string { return config(key); }
/** The time of the call in Unix milliseconds: it stands still while a hook runs. */
export function now(): i64 { return hostNow(); }

/** The log that the tenant reads: at most 64 lines a call, of 1 KiB. */
export namespace Log {
  function write(level: i32, text: string): void {
    const t = utf8(text);
    hostLog(level, t.dataStart, t.length);
  }
  export function debug(text: string): void { write(0, text); }
  export function info(text: string): void { write(1, text); }
  export function warn(text: string): void { write(2, text); }
  export function error(text: string): void { write(3, text); }
}

/** A JSON object that is being written: members by name, each as JSON. */
export class Obj {
  private names: string[] = [];
  private members: string[] = []; // with their names
  raw(name: string, json: string): this {
    const i = this.names.indexOf(name), member = `${quote(name)}:${json}`;
    if (i >= 0) {
      this.members[i] = member;
    } else {
      this.names.push(name);
      this.members.push(member);
    }
    return this;
  }
  /** Adds to a member that is an array or an object. */
  grow(name: string, open: string, json: string, close: string): this {
    const i = this.names.indexOf(name);
    if (i < 0) return this.raw(name, open + json + close);
    this.members[i] = this.members[i].slice(0, -1) + "," + json + close;
    return this;
  }
  list(name: string, text: string): this { return this.grow(name, "[", quote(text), "]"); }
  pair(name: string, tag: string, value: string): this {
    return this.grow(name, "[", new Obj().set("name", tag).set("value", value).write(), "]");
  }
  set(name: string, text: string): this { return this.raw(name, quote(text)); }
  number(name: string, n: f64): this { return isFinite(n) ? this.raw(name, n.toString()) : this; }
  write(): string { return `{${this.members.join(",")}}`; }
}

function utf16(units: Uint16Array, count: i32): string { return String.UTF16.decodeUnsafe(units.dataStart, <usize>count << 1); }

/** A text as JSON writes it. */
export function quote(text: string): string {
  let more = 2;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    more += c < 0x20 ? 5 : <i32>(c == 0x22 || c == 0x5c);
  }
  if (more == 2) return '"' + text + '"';
  const out = new Uint16Array(text.length + more);
  let n = 0;
  out[n++] = 0x22;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x20) {
      const hex = "\\u00" + (c < 0x10 ? "0" : "") + c.toString(16);
      for (let j = 0; j < hex.length; j++) out[n++] = <u16>hex.charCodeAt(j);
    } else {
      if (c == 0x22 || c == 0x5c) out[n++] = 0x5c;
      out[n++] = <u16>c;
    }
  }
  out[n++] = 0x22;
  return utf16(out, n);
}

/** A JSON document that is read by paths such as messages.0.text; errno is negative if
 * there is none. */
export class Json {
  doc: string;
  errno: i32;
  private at: i32 = 0;
  constructor(a: Answer) { this.doc = a.text(); this.errno = a.errno; }
  /** A text without its quotes; anything else as it is written. */
  get(path: string): string | null {
    this.at = 0;
    this.take(0);
    const steps = path.split(".");
    for (let i = 0; i < steps.length && path != ""; i++) {
      if (!this.enter(steps[i])) return null;
    }
    if (this.peek() == 0x22) return this.unquoted();
    const from = this.at;
    this.skip();
    const v = this.doc.substring(from, this.at);
    return v == "" || v == "null" ? null : v;
  }
  /** Likewise; empty if there is none. */
  string(path: string): string {
    const v = this.get(path);
    return v === null ? "" : v;
  }
  private peek(): i32 { return this.at < this.doc.length ? this.doc.charCodeAt(this.at) : 0; }
  private blank(c: i32): bool { return c == 0x20 || c == 0x09 || c == 0x0d || c == 0x0a; }
  private take(c: i32): bool {
    while (this.blank(this.peek())) this.at++;
    const found = c != 0 && this.peek() == c;
    if (found) this.at++;
    while (this.blank(this.peek())) this.at++;
    return found;
  }
  /** Goes to a member or an element of the value that is here. */
  private enter(step: string): bool {
    const array = this.peek() == 0x5b;
    if (!array && this.peek() != 0x7b) return false;
    this.at++;
    this.take(0);
    for (let i = 0; this.peek() != 0 && this.peek() != 0x5d && this.peek() != 0x7d; i++) {
      let name = i.toString();
      if (!array) {
        name = this.unquoted();
        this.take(0x3a);
      }
      if (name == step) return true;
      this.skip();
      if (!this.take(0x2c)) return false;
    }
    return false;
  }
  /** Goes behind the value that is here, however deep it is. */
  private skip(): void {
    for (let depth = 0; this.at < this.doc.length; this.at++) {
      const c = this.peek();
      if (c == 0x22) {
        this.quoted();
        if (depth == 0) return;
        this.at--;
      } else if (c == 0x5b || c == 0x7b) {
        depth++;
      } else if (depth == 0 && (c == 0x2c || c == 0x5d || c == 0x7d || this.blank(c))) {
        return;
      } else if ((c == 0x5d || c == 0x7d) && --depth == 0) {
        this.at++;
        return;
      }
    }
  }
  /** Goes behind the string that is here; what stands in its quotes. */
  private quoted(): string {
    const from = ++this.at;
    while (this.at < this.doc.length && this.peek() != 0x22) this.at += this.peek() == 0x5c ? 2 : 1;
    return this.doc.substring(from, this.at++);
  }
  private unquoted(): string {
    const raw = this.quoted();
    if (!raw.includes("\\")) return raw;
    const out = new Uint16Array(raw.length);
    let n = 0;
    for (let i = 0; i < raw.length; i++) {
      let c = raw.charCodeAt(i);
      if (c == 0x5c) {
        c = raw.charCodeAt(++i);
        const named = "ntrbf".indexOf(String.fromCharCode(c));
        if (named >= 0) {
          c = "\n\t\r\b\f".charCodeAt(named);
        } else if (c == 0x75) {
          c = I32.parseInt(raw.substr(i + 1, 4), 16);
          i += 4;
        }
      }
      out[n++] = <u16>c;
    }
    return utf16(out, n);
  }
}

/** What a hook decides. Its methods add something, and return it. */
export class Verdict {
  doc: Obj = new Obj();
  /** Files the message there; the folder is made if there is none. */
  folder(name: string): this { this.doc.set("folder", name); return this; }
  /** Adds a label, which is an IMAP keyword: 1 to 64 letters, digits and marks. */
  label(label: string): this { this.doc.list("labels", label); return this; }
  unlabel(label: string): this { this.doc.list("unlabel", label); return this; }
  /** Sets a flag: \\Seen, \\Flagged or \\Answered. */
  flag(flag: string): this { this.doc.list("flags", flag); return this; }
  /** Sends it on to an address, instead of keeping it. Permission redirect. */
  redirect(addr: string): this { this.doc.list("redirect", addr); return this; }
  /** Keeps what is redirected, too. */
  keep(): this { this.doc.raw("keep", "true"); return this; }
  private edit(op: string, name: string, value: string): this {
    this.doc.grow("headers", "[", new Obj().set("op", op).set("name", name).set("value", value).write(), "]");
    return this;
  }
  /** Adds a header field. Permission headers, here and below. */
  addHeader(name: string, value: string): this { return this.edit("add", name, value); }
  /** Outbound: makes it the only one of its name. */
  setHeader(name: string, value: string): this { return this.edit("set", name, value); }
  /** Outbound: takes away all of a name. */
  deleteHeader(name: string): this { return this.edit("delete", name, ""); }
  /** Outbound: another subject. Permission body, as for a body. */
  subject(text: string): this { this.doc.set("subject", text); return this; }
  /** Outbound: another text; what is empty is not there any more. */
  body(text: string, html: string): this { this.doc.raw("body", new Obj().set("text", text).set("html", html).write()); return this; }
  /** Outbound: adds a tag. */
  tag(name: string, value: string): this { this.doc.pair("tags", name, value); return this; }
  /** Outbound: a recipient that does not get it. Permission rcpt. */
  remove(addr: string): this { this.doc.list("remove", addr); return this; }
  /** Answers the message. Permission reply. */
  reply(r: Reply): this { this.doc.raw("reply", r.doc.write()); return this; }
  score(score: f64): this { this.doc.number("score", score); return this; }
  /** Why, for the tenant. */
  reason(text: string): this { this.doc.set("reason", text); return this; }
  /** The last word: no plugin after this one is asked. */
  final(): this { this.doc.raw("final", "true"); return this; }
}

function act(action: string): Verdict {
  const v = new Verdict();
  v.doc.set("action", action);
  return v;
}
function refuse(action: string, code: i32, text: string): Verdict {
  const v = act(action);
  v.doc.raw("smtp", new Obj().raw("code", code.toString()).set("text", text).write());
  return v;
}
function moved(op: string, id: string, others: string[]): Verdict {
  const v = new Verdict(), move = new Obj().set("op", op).set("thread_id", id);
  for (let i = 0; i < others.length; i++) move.list("with", others[i]);
  v.doc.raw("thread", move.write());
  return v;
}

/** Inbound: takes the message. */
export function accept(): Verdict { return act("accept"); }
/** Refuses it for good: code is 550 to 559, or 0 for 550; text is one line for its sender. */
export function reject(code: i32, text: string): Verdict { return refuse("reject", code, text); }
/** Asks its sender to try again later. */
export function tempfail(text: string): Verdict { return refuse("tempfail", 0, text); }
/** Files it in Junk. */
export function quarantine(reason: string): Verdict { return act("quarantine").reason(reason); }
/** Drops it; its sender hears that all is well. Permission discard. */
export function discard(): Verdict { return act("discard"); }
/** Outbound: lets mail leave. */
export function allow(): Verdict { return act("allow"); }
/** Refuses mail that wants to leave; its sender is told text at once. */
export function deny(text: string): Verdict { return refuse("deny", 0, text); }
/** Keeps mail that wants to leave until somebody releases it. */
export function hold(reason: string): Verdict { return act("hold").reason(reason); }
/** Until then, in Unix milliseconds, unless somebody releases it before. */
export function holdUntil(reason: string, ms: i64): Verdict {
  const v = hold(reason);
  v.doc.raw("hold", new Obj().set("until", new Date(ms).toISOString()).write());
  return v;
}
/** Thread: puts the message into a conversation of its mailbox. Permission thread, here and below. */
export function join(threadID: string): Verdict { return moved("join", threadID, []); }
/** Starts a conversation with it: newThreadID. */
export function newThread(): Verdict { return moved("new", "", []); }
/** Joins one (empty: where it goes anyway), and has the other conversations go there, too. */
export function merge(threadID: string, others: string[]): Verdict { return moved("merge", threadID, others); }
/** Starts a conversation with it and those messages of its mailbox. */
export function split(others: string[]): Verdict { return moved("split", "", others); }

/** What answers a message: text("...") or html("..."), with more if need be. */
export class Reply {
  doc: Obj = new Obj();
  text(text: string): this { this.doc.set("text", text); return this; }
  html(html: string): this { this.doc.set("html", html); return this; }
  subject(text: string): this { this.doc.set("subject", text); return this; }
  from(addr: string): this { this.doc.set("from", addr); return this; }
}
export function text(text: string): Reply { return new Reply().text(text); }
export function html(html: string): Reply { return new Reply().html(html); }

/** Mail that stands for itself: new Mail("ann@example.com").subject("...").text("..."). */
export class Mail {
  doc: Obj = new Obj();
  constructor(to: string) { this.doc.list("to", to); }
  from(addr: string): this { this.doc.set("from", addr); return this; }
  to(addr: string): this { this.doc.list("to", addr); return this; }
  cc(addr: string): this { this.doc.list("cc", addr); return this; }
  bcc(addr: string): this { this.doc.list("bcc", addr); return this; }
  replyTo(addr: string): this { this.doc.list("reply_to", addr); return this; }
  subject(text: string): this { this.doc.set("subject", text); return this; }
  text(text: string): this { this.doc.set("text", text); return this; }
  html(html: string): this { this.doc.set("html", html); return this; }
  header(name: string, value: string): this { this.doc.grow("headers", "{", quote(name) + ":" + quote(value), "}"); return this; }
  tag(name: string, value: string): this { this.doc.pair("tags", name, value); return this; }
  /** The Message-ID, or the id, of what it answers. */
  inReplyTo(id: string): this { this.doc.set("in_reply_to", id); return this; }
  reference(id: string): this { this.doc.list("references", id); return this; }
}
/** Sends mail once, if the call ends well: 0, or an error. Permission send. */
export function send(mail: Mail): i32 {
  const doc = utf8(mail.doc.write());
  return hostSend(doc.dataStart, doc.length);
}

function answer(v: Verdict | null): i32 {
  if (v === null) return 1;
  named(v.doc.write());
  const refused = hostVerdict(nameAt, nameLength);
  if (refused == 0) return 0;
  Log.error("the verdict is refused: " + errorText(refused));
  return 2;
}
/** Each is what the function postern_... that the plugin exports returns. */
export function inbound(f: (m: Message) => Verdict): i32 { return answer(f(message)); }
export function outbound(f: (m: Message) => Verdict): i32 { return answer(f(message)); }
export function thread(f: (m: Message) => Verdict): i32 { return answer(f(message)); }
/** For postern_event: null is a failure, which is tried again. */
export function onEvent(f: (m: Message) => Verdict | null): i32 { return answer(f(message)); }
/** Likewise, only of mail that was received. */
export function onStored(f: (m: Message) => Verdict | null): i32 { return message.type() == "email.received" ? answer(f(message)) : 0; }
/** Tick hook: when it was due, and when the one before was (empty for the first), RFC 3339. */
export function scheduled(): string { return value("scheduled"); }
export function previous(): string { return value("previous"); }
/** For postern_tick: false is a failure. */
export function onTick(f: () => bool): i32 { return f() ? 0 : 1; }

/** How much memory calls find free: one whose memory has to grow costs its instance. */
const HEADROOM: usize = 256 << 10;

/** What the gateway runs once, before the first call. 1: that is all there is to make ready. */
export function postern_init(): i32 {
  heap.free(heap.alloc(HEADROOM));
  return 1;
}

/** What a throw does: asc is told so by --use abort=postern/abort. */
export function abort(text: string | null, file: string | null, line: u32, column: u32): void {
  Log.error((text === null ? "abort" : text) + " at " + (file === null ? "" : file) + ":" + line.toString() + ":" + column.toString());
  unreachable();
}
