// The tail of events. A browser has few connections to one host, so all its tabs share one
// stream: whoever holds the lock reads it and tells the others. A hidden tab lets it go.

const table = document.querySelector("[data-live]");
const status = document.querySelector("[data-status]");
const pause = document.querySelector("[data-pause]");
const row = document.querySelector("#happening");
const most = 200; // rows that are kept

const address = table.dataset.live;
const channel = new BroadcastChannel("postern-live");
let paused = false;
let holding = false;
let letGo = null; // ends the wait for the lock, or the stream
let last = Number(table.dataset.last);

function say(text) { if (status.textContent !== text) status.textContent = text; }

function show(event) {
  if (event.sequence <= last) return;
  last = event.sequence;
  document.querySelector(".empty")?.remove();
  const line = row.content.cloneNode(true);
  const cells = line.querySelectorAll("tr > *");
  const at = new Date(event.at);
  const time = line.querySelector("time");
  time.dateTime = event.at;
  time.title = at.toISOString().slice(0, 19).replace("T", " ") + " UTC";
  time.textContent = at.toISOString().slice(11, 19);
  cells[1].textContent = event.type;
  cells[2].textContent = event.account;
  cells[3].textContent = event.folder;
  const link = line.querySelector("a");
  if (event.email) {
    link.href = `${table.dataset.emails}/${encodeURIComponent(event.email)}`;
    link.querySelector("span").textContent = ` of ${time.textContent}`;
  } else {
    link.remove();
  }
  cells[4].lastElementChild.textContent = event.detail;
  const body = table.tBodies[0];
  body.prepend(line);
  while (body.rows.length > most) body.lastElementChild.remove();
}

channel.addEventListener("message", ({ data }) => {
  if (paused || holding) return;
  if (data.address === address) {
    say("Live, over the stream of another tab.");
    if (data.event) show(data.event);
  } else {
    say("Another tab shows live events of something else; this one goes on when that is closed or hidden.");
  }
});

// read follows until the tab is hidden or paused, or the stream ends for good.
function read(signal) {
  return new Promise((done) => {
    const stream = new EventSource(last ? `${address}?after=${last}` : address);
    holding = true;
    const end = (text) => {
      stream.close();
      holding = false;
      say(text);
      done();
    };
    stream.addEventListener("open", () => {
      say("Live: what happens appears here.");
      channel.postMessage({ address });
    });
    stream.addEventListener("message", ({ data }) => {
      const event = JSON.parse(data);
      show(event);
      channel.postMessage({ address, event });
    });
    stream.addEventListener("error", () => {
      if (stream.readyState === EventSource.CLOSED) end("The stream has ended. Refresh to see what is new.");
      else say("The connection was lost; it is being made again.");
    });
    signal.addEventListener("abort", () => end(paused ? "Paused." : ""));
  });
}

async function follow() {
  if (letGo) return;
  letGo = new AbortController();
  const { signal } = letGo;
  try {
    if (navigator.locks) await navigator.locks.request("postern-live", { signal }, () => read(signal));
    else await read(signal);
  } catch (problem) {
    if (problem.name !== "AbortError") throw problem;
  }
}

function rest() {
  letGo?.abort();
  letGo = null;
}

function look() {
  if (document.hidden || paused) rest();
  else follow();
}

if (table && globalThis.EventSource) {
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    look();
    if (paused) say("Paused.");
  });
  document.addEventListener("visibilitychange", look);
  window.addEventListener("pagehide", rest);
  window.addEventListener("pageshow", look);
  look();
}
