// Sends an email over SMTP with Nodemailer.
import nodemailer from 'nodemailer';

const [host, port] = (process.env.CENTERLEAP_SMTP ?? 'localhost:2587').split(':');
const me = process.env.CENTERLEAP_EMAIL ?? 'bot@demo.localhost';
const transport = nodemailer.createTransport({
  host,
  port: Number(port),
  secure: false, // STARTTLS comes first, and is required
  requireTLS: true,
  auth: { user: 'centerleap', pass: process.env.CENTERLEAP_API_KEY },
});
const sent = await transport.sendMail({
  from: me,
  to: process.env.CENTERLEAP_TO ?? me,
  subject: 'Hello from Nodemailer',
  text: 'It works.',
  html: '<p>It works.</p>',
  attachments: [{ filename: 'note.txt', content: 'A note.' }],
});
console.log(sent.response);
