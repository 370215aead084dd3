// Help for the console's pages, which are complete without it: live progress, copy buttons, questions before what cannot
// be taken back. It makes elements and texts, never markup.

const byId = (id) => document.getElementById(id);

// Copy buttons are hidden where there is no script.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = byId(button.dataset.copy);
    source.select();
    try {
      await navigator.clipboard.writeText(source.value);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected: press Ctrl+C";
    }
  });
}

// A question in a dialog; Escape and "Back" leave everything as it is.
const ask = (text, act, opener) => {
  const dialog = document.createElement("dialog");
  const words = document.createElement("p");
  words.id = "question";
  words.textContent = text;
  dialog.setAttribute("aria-labelledby", "question");
  const row = document.createElement("p");
  row.className = "actions";
  const button = (label, look, then) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = look;
    made.textContent = label;
    made.addEventListener("click", () => {
      dialog.close();
      then();
    });
    row.append(made);
    return made;
  };
  button("Yes", "danger", act);
  const back = button("Back", "plain", () => {});
  dialog.append(words, row);
  dialog.addEventListener("close", () => {
    dialog.remove();
    opener?.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  back.focus();
};

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sure) return;
    event.preventDefault();
    const go = () => {
      form.dataset.sure = "yes";
      form.requestSubmit(event.submitter ?? undefined);
    };
    ask(form.dataset.confirm, go, event.submitter);
  });
}

// A form that was sent is not sent again by a second press. What a page kept from before must work again.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    delete form.dataset.sure;
  }
});

// Progress of an operation: asked for once a second, more seldom while it cannot be had.
const follow = async (section) => {
  const bar = section.querySelector("progress");
  const said = section.querySelector("[data-said]");
  let pause = 1000;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (document.hidden) continue;
    try {
      const answer = await fetch(section.dataset.operation, { headers: { accept: "application/json" } });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      const operation = await answer.json();
      if (operation.done) return location.reload();
      const now = operation.metadata ?? {};
      const percent = Number(now.progressPercent ?? 0);
      const [done, total] = [Number(now.doneUnits ?? 0), Number(now.totalUnits ?? 0)];
      const parts = [`${percent} %`];
      if (now.step) parts.push(String(now.step).replaceAll("_", " "));
      if (total) parts.push(`${done.toLocaleString("en")} of ${total.toLocaleString("en")}`);
      bar.value = percent;
      const text = parts.join(", ");
      for (const field of section.querySelectorAll("[data-now]")) {
        const value = String(now[field.dataset.now] ?? "");
        field.textContent = field.dataset.now === "step" ? value.replaceAll("_", " ") : value;
      }
      // A live region speaks at every change: only at one that is one.
      if (said.textContent !== text) said.textContent = text;
      pause = 1000;
    } catch {
      pause = Math.min(pause * 2, 15000);
    }
  }
};
for (const section of document.querySelectorAll("[data-operation]")) follow(section);

// The preview of a branding wears what is typed as soon as it is a colour.
for (const form of document.querySelectorAll("form[data-preview]")) {
  form.addEventListener("input", () => {
    const { primary_color: color, theme_mode: mode } = form.elements;
    if (!/^#[0-9a-f]{6}$/i.test(color.value.trim())) return;
    const query = new URLSearchParams({ primary_color: color.value.trim(), theme_mode: mode.value });
    byId(form.dataset.preview).href = `/branding/preview.css?${query}`;
  });
}
