// Follows a mailbox and answers each email in its thread. A stream that ends is opened
// again from the last event, so none is missed; what it sends has a key of its own, so none
// is answered twice. It stops after CENTERLEAP_ANSWERS answers, if that is set.
const url = process.env.CENTERLEAP_URL ?? 'http://127.0.0.1:8080';
const me = process.env.CENTERLEAP_EMAIL ?? 'bot@demo.localhost';
const headers = { Authorization: `Bearer ${process.env.CENTERLEAP_API_KEY}` };
const most = Number(process.env.CENTERLEAP_ANSWERS ?? Infinity);
let last = '';
let answered = 0;

async function answer(email) {
  // Who wrote this? A forged sender, or a program that answers too, gets no answer.
  if (email.from === me || email.authentication?.dmarc === 'fail') return;
  const response = await fetch(`${url}/emails`, {
    method: 'POST',
    headers: { ...headers, 'Content-Type': 'application/json', 'Idempotency-Key': `answer-${email.email_id}` },
    body: JSON.stringify({ from: me, to: email.from, subject: `Re: ${email.subject}`, text: `You wrote: ${email.preview}`, in_reply_to: email.id }),
  });
  if (!response.ok) throw new Error(await response.text());
  console.log('answered', email.subject);
  answered++;
}

// blocks yields the blocks of a stream of server-sent events.
async function* blocks(body) {
  let text = '';
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) yield text.slice(0, end);
  }
}

while (answered < most) {
  try {
    const stream = await fetch(`${url}/emails/stream?email=${encodeURIComponent(me)}`, { headers: last ? { ...headers, 'Last-Event-ID': last } : headers });
    if (!stream.ok) throw new Error(await stream.text());
    for await (const block of blocks(stream.body)) {
      const event = Object.fromEntries(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
      if (event.event === 'connected') console.log('connected');
      if (event.event === 'new_email') await answer(JSON.parse(event.data));
      if (event.id) last = event.id;
      if (answered >= most) break;
    }
  } catch (error) {
    console.error(error.message);
  }
  await new Promise((done) => setTimeout(done, 1000));
}
process.exit(0);
