// The unmodified Resend SDK against /resend. Each call's answer is held to what the SDK's
// types promise.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const { Resend } = createRequire(process.env.NODE_MODULES + '/')('resend');
const base = process.env.POSTERN_REST + '/resend';
const resend = new Resend(process.env.DOMAIN_KEY, { baseUrl: base });
const admin = new Resend(process.env.ADMIN_KEY, { baseUrl: base });
const from = 'Bot <bot@demo.localhost>';
let calls = 0;

// ok makes a call that has to succeed.
async function ok(call) {
  calls++;
  const { data, error, headers } = await call;
  assert.equal(error, null, JSON.stringify(error));
  assert.ok(headers['x-request-id']);
  return data;
}

// no makes a call that has to fail in one way.
async function no(name, status, call) {
  calls++;
  const { data, error } = await call;
  assert.equal(data, null);
  assert.equal(error.name, name, JSON.stringify(error));
  assert.equal(error.statusCode, status);
  assert.ok(error.message.length > 5);
  return error;
}

async function until(what, look) {
  for (let i = 0; i < 400; i++) {
    const found = await look();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  assert.fail('this did not happen: ' + what);
}

function keys(object, ...names) {
  for (const name of names) assert.ok(name in object, `${name} is missing in ${JSON.stringify(object)}`);
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

// An endpoint that keeps what it is told.
const told = [];
const endpoint = createServer((req, res) => {
  let body = '';
  req.on('data', (chunk) => { body += chunk; });
  req.on('end', () => { told.push({ headers: req.headers, body }); res.end('thanks'); });
});
await new Promise((done) => endpoint.listen(0, '127.0.0.1', done));

// Webhooks.
const hook = await ok(resend.webhooks.create({ endpoint: `http://127.0.0.1:${endpoint.address().port}/`, events: ['email.received', 'email.delivered'] }));
assert.equal(hook.object, 'webhook');
assert.match(hook.id, uuid);
assert.match(hook.signing_secret, /^whsec_/);
const shown = await ok(resend.webhooks.get(hook.id));
assert.deepEqual([shown.object, shown.status, shown.signing_secret], ['webhook', 'enabled', hook.signing_secret]);
assert.deepEqual(shown.events, ['email.delivered', 'email.received']);
assert.deepEqual((await ok(resend.webhooks.list({ before: hook.id }))).data, []);
const hooks = await ok(resend.webhooks.list());
assert.deepEqual([hooks.object, hooks.has_more, hooks.data.length, hooks.data[0].id], ['list', false, 1, hook.id]);
assert.equal((await ok(resend.webhooks.update(hook.id, { status: 'enabled' }))).id, hook.id);

// Sending.
const sent = await ok(resend.emails.send({
  from, to: ['bot@demo.localhost'], cc: 'cc@demo.localhost', replyTo: 'answers@demo.localhost', subject: 'Hello', html: '<p>It works, <b>twice</b></p>', text: 'It works',
  tags: [{ name: 'kind', value: 'welcome' }], headers: { 'X-Entity': '7' },
  attachments: [{ filename: 'a.txt', content: Buffer.from('attached').toString('base64') }, { filename: 'p.png', content: Buffer.from('png'), contentId: 'pic', contentType: 'image/png' }],
}, { idempotencyKey: 'first' }));
assert.deepEqual(Object.keys(sent), ['id']);
assert.match(sent.id, uuid);
const again = await ok(resend.emails.send({
  from, to: ['bot@demo.localhost'], cc: 'cc@demo.localhost', replyTo: 'answers@demo.localhost', subject: 'Hello', html: '<p>It works, <b>twice</b></p>', text: 'It works',
  tags: [{ name: 'kind', value: 'welcome' }], headers: { 'X-Entity': '7' },
  attachments: [{ filename: 'a.txt', content: Buffer.from('attached').toString('base64') }, { filename: 'p.png', content: Buffer.from('png'), contentId: 'pic', contentType: 'image/png' }],
}, { idempotencyKey: 'first' }));
assert.deepEqual(again, sent);
await no('invalid_idempotent_request', 409, resend.emails.send({ from, to: 'x@demo.localhost', subject: 'other', text: 'x' }, { idempotencyKey: 'first' }));
const later = await ok(resend.emails.send({ from, to: 'away@example.com', subject: 'Later', text: 'x', scheduledAt: new Date(Date.now() + 3600e3).toISOString() }));
const batch = await ok(resend.batch.send([{ from, to: 'b1@example.com', subject: 'one', text: 'x' }, { from, to: 'b2@example.com', subject: 'two', text: 'x' }]));
assert.equal(batch.data.length, 2);
assert.deepEqual(Object.keys(batch.data[0]), ['id']);
const some = await ok(resend.batch.send([{ from, to: 'b3@example.com', subject: 'three', text: 'x' }, { from: 'x@elsewhere.example', to: 'b4@example.com', subject: 'four', text: 'x' }], { batchValidation: 'permissive' }));
assert.equal(some.data.length, 1);
assert.equal(some.errors[0].index, 1);
assert.ok(some.errors[0].message);
await no('domain_not_authorized', 403, resend.emails.send({ from: 'x@elsewhere.example', to: 'x@demo.localhost', subject: 's', text: 't' }));
await no('missing_required_field', 422, resend.emails.send({ from, subject: 's', text: 't' }));

// What was sent.
const one = await ok(resend.emails.get(sent.id));
keys(one, 'bcc', 'cc', 'created_at', 'from', 'html', 'id', 'message_id', 'last_event', 'reply_to', 'subject', 'text', 'tags', 'to', 'scheduled_at');
assert.deepEqual([one.object, one.id, one.subject, one.to, one.cc, one.bcc, one.reply_to], ['email', sent.id, 'Hello', ['bot@demo.localhost'], ['cc@demo.localhost'], null, ['answers@demo.localhost']]);
assert.deepEqual(one.tags, [{ name: 'kind', value: 'welcome' }]);
assert.match(one.from, /^"?Bot"? <bot@demo\.localhost>$/);
assert.match(one.message_id, /^<.+@demo\.localhost>$/);
assert.equal((await ok(resend.emails.get(later.id))).last_event, 'scheduled');
const listed = await ok(resend.emails.list({ limit: 2 }));
assert.deepEqual([listed.object, listed.has_more, listed.data.length], ['list', true, 2]);
const all = [...listed.data];
for (let page = listed; page.has_more;) {
  page = await ok(resend.emails.list({ limit: 2, after: all.at(-1).id }));
  all.push(...page.data);
}
assert.equal(new Set(all.map((e) => e.id)).size, all.length);
assert.ok(all.some((e) => e.id === sent.id) && all.some((e) => e.id === later.id));
for (let i = 1; i < all.length; i++) {
  const back = await ok(resend.emails.list({ limit: 2, before: all[i].id }));
  assert.deepEqual([back.data.map((e) => e.id), back.has_more], [all.slice(Math.max(0, i - 2), i).map((e) => e.id), i > 2]);
}
keys(all[0], 'bcc', 'cc', 'created_at', 'from', 'id', 'message_id', 'last_event', 'reply_to', 'subject', 'to', 'scheduled_at');
const files = await ok(resend.emails.attachments.list({ emailId: sent.id }));
assert.deepEqual(files.data.map((f) => [f.filename, f.size, f.content_disposition]).sort(), [['a.txt', 8, 'attachment'], ['p.png', 3, 'inline']]);
const file = await ok(resend.emails.attachments.get({ emailId: sent.id, id: files.data.find((f) => f.filename === 'a.txt').id }));
assert.equal(file.object, 'attachment');
assert.equal(await (await fetch(file.download_url)).text(), 'attached');
assert.deepEqual(await ok(resend.emails.update({ id: later.id, scheduledAt: new Date(Date.now() + 7200e3).toISOString() })), { object: 'email', id: later.id });
assert.deepEqual(await ok(resend.emails.cancel(later.id)), { object: 'email', id: later.id });
assert.equal((await ok(resend.emails.get(later.id))).last_event, 'canceled');
await no('not_found', 404, resend.emails.get('01890000-0000-7000-8000-000000000000'));

// What arrived.
const inbox = await until('it arrives', async () => {
  const page = await ok(resend.emails.receiving.list());
  return page.data.find((e) => e.subject === 'Hello' && e.to.includes('bot@demo.localhost') && e.received_for.includes('bot@demo.localhost'));
});
keys(inbox, 'id', 'to', 'from', 'created_at', 'subject', 'bcc', 'cc', 'reply_to', 'received_for', 'message_id', 'attachments');
const got = await ok(resend.emails.receiving.get(inbox.id));
assert.deepEqual([got.object, got.subject, got.text.trim(), got.headers['x-entity'], got.attachments.length], ['email', 'Hello', 'It works', '7', 2]);
assert.equal(got.attachments.find((f) => f.filename === 'p.png').content_id.replace(/[<>]/g, ''), 'pic');
const raw = await (await fetch(got.raw.download_url)).text();
assert.match(raw, /^X-Entity: 7\r$/m);
const arrived = await ok(resend.emails.receiving.attachments.list({ emailId: inbox.id }));
assert.equal(arrived.data.length, 2);
const part = await ok(resend.emails.receiving.attachments.get({ emailId: inbox.id, id: arrived.data.find((f) => f.filename === 'a.txt').id }));
assert.equal(await (await fetch(part.download_url)).text(), 'attached');
const forwarded = await ok(resend.emails.receiving.forward({ emailId: inbox.id, to: 'friend@demo.localhost', from }));
const copy = await ok(resend.emails.get(forwarded.id));
assert.equal(copy.subject, 'Hello');
assert.equal((await ok(resend.emails.attachments.list({ emailId: forwarded.id }))).data.length, 2);
const wrapped = await ok(resend.emails.receiving.forward({ emailId: inbox.id, to: 'friend@demo.localhost', from, passthrough: false, text: 'see below' }));
assert.equal((await ok(resend.emails.get(wrapped.id))).subject, 'Fwd: Hello');

let newest, arrivedLater, settled = await ok(resend.emails.receiving.list({ limit: 100 }));
do { // what was forwarded above is still on its way: until nothing comes between two looks
  newest = settled;
  arrivedLater = await ok(resend.emails.receiving.list({ limit: 100, before: inbox.id }));
  settled = await ok(resend.emails.receiving.list({ limit: 100 }));
} while (settled.data.length !== newest.data.length);
const older = newest.data.findIndex((e) => e.id === inbox.id);
assert.deepEqual(arrivedLater.data.map((e) => e.id), newest.data.slice(0, older).map((e) => e.id));
assert.deepEqual((await ok(resend.emails.receiving.attachments.list({ emailId: inbox.id, before: arrived.data[1].id }))).data.map((f) => f.id), [arrived.data[0].id]);
assert.deepEqual((await ok(resend.emails.attachments.list({ emailId: sent.id, limit: 1, after: files.data[0].id }))).data.map((f) => f.id), [files.data[1].id]);

// What the endpoint was told, verified by the SDK.
const event = await until('the webhook is told', () => told.find((t) => JSON.parse(t.body).data.subject === 'Hello' && JSON.parse(t.body).type === 'email.received'));
calls++;
const verified = resend.webhooks.verify({
  payload: event.body, webhookSecret: hook.signing_secret,
  headers: { id: event.headers['svix-id'], timestamp: event.headers['svix-timestamp'], signature: event.headers['svix-signature'] },
});
assert.equal(verified.data.subject, 'Hello');
keys(verified.data, 'email_id', 'created_at', 'from', 'to', 'received_for', 'message_id', 'subject', 'attachments');
const events = await until('it is on record', async () => {
  const page = await ok(resend.webhooks.events.list({ webhookId: hook.id }));
  return page.data.some((e) => e.id === event.headers['svix-id'] && e.status === 'success') && page;
});
keys(events.data[0], 'id', 'type', 'created_at', 'status');
const whole = await ok(resend.webhooks.events.get({ webhookId: hook.id, eventId: event.headers['svix-id'] }));
assert.deepEqual([whole.object, whole.type, whole.status, whole.payload.data.subject], ['webhook_event', 'email.received', 'success', 'Hello']);
const attempts = await ok(resend.webhooks.events.attempts.list({ webhookId: hook.id, eventId: whole.id }));
assert.deepEqual([attempts.data.length, attempts.data[0].http_status_code, attempts.data[0].response], [1, 200, 'thanks']);
assert.deepEqual(await ok(resend.webhooks.events.replay({ webhookId: hook.id, eventId: whole.id })), { object: 'webhook_event', id: whole.id });
await until('it is told again', () => told.filter((t) => t.headers['webhook-id'] === whole.id).length === 2);
assert.notEqual((await ok(resend.webhooks.rotateSigningSecret(hook.id))).signing_secret, hook.signing_secret);
assert.deepEqual(await ok(resend.webhooks.remove(hook.id)), { object: 'webhook', id: hook.id, deleted: true });
await no('not_found', 404, resend.webhooks.get(hook.id));

// Suppressions.
const suppressed = await ok(resend.suppressions.add({ email: 'never@example.com' }));
assert.equal(suppressed.object, 'suppression');
const entry = await ok(resend.suppressions.get('never@example.com'));
assert.deepEqual([entry.id, entry.email, entry.origin], [suppressed.id, 'never@example.com', 'manual']);
assert.equal((await ok(resend.suppressions.list())).data[0].id, suppressed.id);
const newer = await ok(resend.suppressions.add({ email: 'nor@example.com' }));
assert.deepEqual((await ok(resend.suppressions.list({ before: suppressed.id }))).data.map((s) => s.id), [newer.id]);
assert.equal((await ok(resend.suppressions.remove(suppressed.id))).deleted, true);

// Domains.
const domain = await ok(admin.domains.create({ name: 'resend.example' }));
keys(domain, 'id', 'name', 'status', 'created_at', 'region', 'records', 'capabilities');
assert.ok(domain.records.some((r) => r.record === 'DKIM' && r.type === 'TXT' && r.value && r.ttl && r.status));
assert.equal((await ok(admin.domains.get(domain.id))).object, 'domain');
assert.ok((await ok(admin.domains.list())).data.some((d) => d.id === domain.id && d.capabilities.sending === 'disabled'));
const first = (await ok(admin.domains.list())).data[0];
assert.deepEqual((await ok(admin.domains.list({ limit: 1, before: domain.id }))).data.map((d) => d.id), [first.id]);
assert.equal((await ok(admin.domains.update({ id: domain.id, tls: 'enforced' }))).id, domain.id);
calls++;
const checked = await admin.domains.verify(domain.id);
assert.ok(checked.data?.id === domain.id || checked.error.statusCode === 409, JSON.stringify(checked));
assert.equal((await ok(admin.domains.remove(domain.id))).deleted, true);

// Keys.
const key = await ok(resend.apiKeys.create({ name: 'made by the SDK', permission: 'sending_access' }));
assert.deepEqual(Object.keys(key).sort(), ['id', 'token']);
const lesser = new Resend(key.token, { baseUrl: base });
await ok(lesser.emails.send({ from, to: 'bot@demo.localhost', subject: 'with a new key', text: 'x' }));
await no('restricted_api_key', 401, lesser.emails.list());
assert.ok((await ok(resend.apiKeys.list())).data.some((k) => k.id === key.id && k.name === 'made by the SDK'));
const others = (await ok(resend.apiKeys.list())).data;
assert.deepEqual((await ok(resend.apiKeys.list({ limit: 1, before: others[1].id }))).data.map((k) => k.id), [others[0].id]);
assert.equal((await ok(resend.apiKeys.update(key.id, { name: 'renamed' }))).id, key.id);
assert.equal((await ok(resend.apiKeys.remove(key.id))).deleted, true);
await no('invalid_api_key', 403, lesser.emails.send({ from, to: 'bot@demo.localhost', subject: 'x', text: 'x' }));

// The log, and what there is not.
const logs = await ok(resend.logs.list());
keys(logs.data[0], 'id', 'created_at', 'endpoint', 'method', 'response_status', 'user_agent');
assert.deepEqual((await ok(resend.logs.list({ limit: 2, before: logs.data[3].id }))).data.map((l) => l.id), [logs.data[1].id, logs.data[2].id]);
assert.equal((await ok(resend.logs.get(logs.data[0].id))).object, 'log');
await no('not_found', 404, resend.templates.list());
await no('not_found', 404, resend.contacts.list());

endpoint.close();
console.log(`${calls} calls`);
assert.ok(calls >= 45);
