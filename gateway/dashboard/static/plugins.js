// What the pages of plugins gain with JavaScript; each works without.

// waits shows that an answer takes a while: a module is sent and compiled, or many
// messages are asked about.
for (const form of document.querySelectorAll("form[data-waits]")) {
  form.addEventListener("submit", () => {
    form.querySelector("progress").hidden = false;
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  });
}

// A module may be dropped on its form.
for (const form of document.querySelectorAll("form[enctype]")) {
  form.addEventListener("dragover", (event) => event.preventDefault());
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length === 1) form.querySelector("input[name=wasm]").files = event.dataTransfer.files;
  });
}
