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

// The page of work that ended is loaded again. Whoever waits for it by ear is brought to how it ended.
const ended = () => {
  sessionStorage.setItem("ended", location.pathname);
  location.reload();
};
if (sessionStorage.getItem("ended") === location.pathname) {
  sessionStorage.removeItem("ended");
  document.querySelector("[data-ended]")?.focus();
}

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
      if (operation.done) return ended();
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

// The preview of a branding wears and says what is typed as soon as it is a colour. What is typed is not in the draft, so
// the draft cannot be published meanwhile.
for (const form of document.querySelectorAll("form[data-preview]")) {
  const { display_name: name, primary_color: color, theme_mode: mode } = form.elements;
  const picker = byId("picker");
  const isColor = () => /^#[0-9a-f]{6}$/i.test(color.value.trim());
  const cell = (tag, text) => {
    const made = document.createElement(tag);
    made.textContent = text;
    return made;
  };
  let asked = 0;
  const measure = async (query, mine) => {
    try {
      const answer = await fetch(`/branding/preview.json?${query}`);
      if (!answer.ok) return;
      const { notes, contrasts } = await answer.json();
      if (mine !== asked) return; // Another colour was typed meanwhile.
      byId("notes").replaceChildren(...notes.map((note) => cell("li", note)));
      const rows = contrasts.map((one) => {
        const row = document.createElement("tr");
        row.append(cell("td", one.shade), cell("th", one.front), cell("td", one.back), cell("td", `${one.has}:1`), cell("td", `${one.needs}:1`));
        row.children[1].scope = "row";
        return row;
      });
      byId("contrasts").replaceChildren(...rows);
    } catch {
      // The next key asks again.
    }
  };
  const changed = (field) => (field.options ? [...field.options].some((one) => one.selected !== one.defaultSelected) : field.value !== field.defaultValue);
  const isDirty = () => [...form.querySelectorAll("input[name], select")].some(changed);
  const show = () => {
    for (const place of document.querySelectorAll("[data-name]")) place.textContent = name.value.trim() || place.dataset.name;
    for (const button of document.querySelectorAll("[data-saved]")) button.disabled = isDirty();
    const unsaved = byId("unsaved");
    if (unsaved) unsaved.hidden = !isDirty();
    if (!isColor()) return;
    picker.value = color.value.trim().toLowerCase();
    const query = new URLSearchParams({ primary_color: color.value.trim(), theme_mode: mode.value });
    byId(form.dataset.preview).href = `/branding/preview.css?${query}`;
    asked += 1;
    const mine = asked;
    setTimeout(() => mine === asked && measure(query, mine), 200);
  };
  picker.hidden = false;
  if (isColor()) picker.value = color.value.trim().toLowerCase();
  picker.addEventListener("input", () => {
    color.value = picker.value;
  });
  form.addEventListener("input", show);
  // A browser may bring back what was typed before.
  addEventListener("pageshow", () => isDirty() && show());
}

// A filter's inputs are those of its field.
for (const form of document.querySelectorAll("form[data-filter]")) {
  const field = form.elements.field;
  const templates = new Map([...form.querySelectorAll("template")].map((one) => [one.dataset.of, one.content]));
  const shown = () => [...form.children].filter((one) => one.querySelector("#op, #value"));
  let now = field.value;
  field.addEventListener("change", () => {
    const kept = document.createDocumentFragment();
    const [first, ...rest] = shown();
    const place = document.createComment("");
    first.before(place);
    kept.append(first, ...rest);
    templates.set(now, kept);
    now = field.value;
    place.replaceWith(templates.get(now));
  });
}

// A row of a new field shows what goes with its type; what is hidden is not sent.
for (const row of document.querySelectorAll("fieldset[data-kinds]")) {
  const kind = byId(row.dataset.kinds);
  const show = () => {
    for (const part of row.querySelectorAll("[data-for]")) {
      part.hidden = !part.dataset.for.split(" ").includes(kind.value);
      for (const input of part.querySelectorAll("input, select")) input.disabled = part.hidden;
    }
  };
  kind.addEventListener("change", show);
  show();
}

// Records are offered by what is typed of their names. Texts are ordered by code points.
const quote = (text) => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
for (const input of document.querySelectorAll("input[data-search]")) {
  let asked;
  input.addEventListener("input", () => {
    clearTimeout(asked);
    const { search, by } = input.dataset;
    const text = input.value.trim();
    if (!text) return;
    asked = setTimeout(async () => {
      const filter = `${by} >= ${quote(text)} AND ${by} < ${quote(`${text}\u{10ffff}`)}`;
      const query = new URLSearchParams({ pageSize: "20", orderBy: by, filter });
      const answer = await fetch(`${search}?${query}`, { headers: { accept: "application/json" } }).catch(() => undefined);
      if (!answer?.ok) return;
      const { records = [] } = await answer.json();
      const options = records.map((record) => {
        const option = document.createElement("option");
        option.value = String(record.fields?.[by] ?? "");
        return option;
      });
      input.list.replaceChildren(...options);
    }, 250);
  });
}
