// Sends and reads with Resend's own library: only its address is another one.
import { Resend } from 'resend';

const me = process.env.CENTERLEAP_EMAIL ?? 'bot@demo.localhost';
const resend = new Resend(process.env.CENTERLEAP_API_KEY, { baseUrl: `${process.env.CENTERLEAP_URL ?? 'http://127.0.0.1:8080'}/resend` });

const { data, error } = await resend.emails.send({ from: me, to: process.env.CENTERLEAP_TO ?? me, subject: 'Hello from Resend', text: 'It works.' });
if (error) throw new Error(error.message);
const email = await resend.emails.get(data.id);
console.log(email.data.id, email.data.last_event, email.data.subject);
