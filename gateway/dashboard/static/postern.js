// What pages gain with JavaScript; each works without.

// copying puts a text on the clipboard, from buttons that show up only when they can.
function copying(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      const said = button.firstChild;
      const before = said.textContent;
      said.textContent = "Copied";
      button.setAttribute("aria-live", "polite");
      setTimeout(() => { said.textContent = before; }, 1500);
    });
  }
}

copying(document);
