"""Sends an email over SMTP and finds it again over REST: the standard library alone."""
import json
import os
import smtplib
import ssl
import time
import urllib.parse
import urllib.request
from email.message import EmailMessage

key = os.environ["CENTERLEAP_API_KEY"]
url = os.environ.get("CENTERLEAP_URL", "http://127.0.0.1:8080")
host, port = os.environ.get("CENTERLEAP_SMTP", "localhost:2587").split(":")
me = os.environ.get("CENTERLEAP_EMAIL", "bot@demo.localhost")
to = os.environ.get("CENTERLEAP_TO", me)

message = EmailMessage()
message["From"], message["To"], message["Subject"] = me, to, "Hello from Python"
message.set_content(f"It works, at {time.time_ns()}.")
with smtplib.SMTP(host, int(port)) as smtp:
    smtp.starttls(context=ssl.create_default_context())
    smtp.login("centerleap", key)
    smtp.send_message(message)

words = message.get_content().split()[-1].rstrip(".")
query = urllib.parse.urlencode({"q": words, "email": to})
for _ in range(50):
    request = urllib.request.Request(f"{url}/emails?{query}", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request) as answer:
        page = json.load(answer)
    if page["total"]:
        print(page["data"][0]["subject"], page["data"][0]["snippet"]["text"])
        break
    time.sleep(0.2)
else:
    raise SystemExit("it did not arrive")
