// Receives a webhook and verifies each call: what anybody else sends is refused. It makes
// the webhook, shows what it is told, and deletes it when it ends, which is after
// CENTERLEAP_EVENTS events, if that is set.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const url = process.env.CENTERLEAP_URL ?? 'http://127.0.0.1:8080';
const most = Number(process.env.CENTERLEAP_EVENTS ?? Infinity);
const seen = new Set(); // an event may come twice, under the same id
let secret;

// signed tells whether a call is from the gateway, and of the last five minutes.
function signed(headers, body) {
  const id = headers['webhook-id'];
  const at = headers['webhook-timestamp'];
  if (!id || Math.abs(Date.now() / 1000 - Number(at)) > 300) return false;
  const want = createHmac('sha256', Buffer.from(secret.slice('whsec_'.length), 'base64')).update(`${id}.${at}.${body}`).digest();
  return headers['webhook-signature'].split(' ').some((one) => {
    const got = Buffer.from(one.slice('v1,'.length), 'base64');
    return got.length === want.length && timingSafeEqual(got, want);
  });
}

async function call(method, path, body) {
  const response = await fetch(url + path, {
    method,
    headers: { Authorization: `Bearer ${process.env.CENTERLEAP_API_KEY}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  if (!signed(request.headers, body)) {
    response.writeHead(401).end();
    return;
  }
  response.end(); // 2xx within ten seconds; what takes longer is done afterwards
  if (seen.has(request.headers['webhook-id'])) return;
  seen.add(request.headers['webhook-id']);
  const { type, data } = JSON.parse(body);
  console.log(type, data.subject ?? '');
  if (seen.size >= most) {
    await call('DELETE', `/webhooks/${hook.id}`);
    process.exit(0);
  }
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const endpoint = process.env.CENTERLEAP_ENDPOINT ?? `http://127.0.0.1:${server.address().port}/`;
const hook = await call('POST', '/webhooks', { endpoint, events: ['email.received'] });
secret = hook.signing_secret;
console.log('told at', endpoint);
