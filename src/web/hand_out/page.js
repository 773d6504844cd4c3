// Without this the page works too: what is to be copied can be selected, and the button is a form's.
for (const button of document.querySelectorAll("[data-copy]")) {
  const words = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const value = document.getElementById(button.dataset.copy);
    let copied = false;
    try {
      await navigator.clipboard.writeText(value.textContent);
      copied = true;
    } catch {
      // Browsers inside of other apps often have no clipboard but this.
      getSelection().selectAllChildren(value);
      copied = document.execCommand("copy");
    }
    if (copied) {
      button.textContent = button.dataset.copied;
      setTimeout(() => { button.textContent = words; }, 2000);
    }
  });
}
for (const form of document.forms) {
  form.addEventListener("submit", () => { form.querySelector("button").disabled = true; });
}
