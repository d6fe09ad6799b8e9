// The studio without full page loads. Every page and every form works without this file.
//
// Forms marked data-swap are sent in the background. From the page that comes back,
// the content of every element marked data-live takes the place of the older one,
// so that the scroll position, the focus and what is typed elsewhere stay. A page
// with an element marked data-poll asks for itself again every so many milliseconds.

const parsed = (html) => new DOMParser().parseFromString(html, "text/html");

/** What the server last sent for each live part; tells a change there from typing here. */
const sent = new Map([...document.querySelectorAll("[data-live]")].map((part) => [part.id, part.innerHTML]));

/** Whether a form holds a field that differs from what the server sent. */
const isBeingTyped = (form) =>
  [...form.querySelectorAll("input:not([type=hidden]), textarea")].some((field) =>
    field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue,
  );

/** Take the live parts from a fresh page; `form` is the one whose answer this is, if any. */
function swap(fresh, form) {
  const focused = document.activeElement;
  const focus = { id: focused?.id, part: focused?.closest("[data-live]")?.id };
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (!next || next.innerHTML === sent.get(part.id)) continue;
    sent.set(part.id, next.innerHTML);
    replace(part, next, form);
  }
  document.title = fresh.title;
  if (document.activeElement === document.body) refocus(focus);
}

/** Replace a part's content, but keep unsaved forms and opened details as they are. */
function replace(part, next, form) {
  const typed = [...part.querySelectorAll("form[id]")].filter((other) => other !== form && isBeingTyped(other));
  const done = form?.closest("details");
  const opened = [...part.querySelectorAll("details[open][id]")].filter((details) => details !== done);
  part.replaceChildren(...document.importNode(next, true).childNodes);
  for (const old of typed) document.getElementById(old.id)?.replaceWith(old);
  for (const { id } of opened) document.getElementById(id)?.setAttribute("open", "");
}

function refocus({ id, part }) {
  let element = id && document.getElementById(id);
  if (element?.disabled) element = element.parentElement.querySelector("button:enabled");
  element ||= part && document.getElementById(part);
  if (!element) return;
  if (element.dataset.live !== undefined) element.tabIndex = -1;
  element.focus({ preventScroll: true });
}

function complain(text) {
  const line = document.createElement("p");
  line.className = "alert bad";
  line.textContent = text;
  const place = document.getElementById("said");
  place.replaceChildren(line);
  sent.delete("said");
  place.scrollIntoView({ block: "nearest" });
}

async function send(form, button) {
  const body = new URLSearchParams(new FormData(form, button));
  const address = button?.hasAttribute("formaction") ? button.formAction : form.action;
  try {
    const response = await fetch(address, { method: "POST", body });
    const fresh = parsed(await response.text());
    const error = fresh.getElementById("error");
    if (error) complain(error.querySelector("p").textContent);
    else swap(fresh, form);
  } catch {
    complain("Not saved: the server cannot be reached. Your text is still here.");
  }
}

let queue = Promise.resolve(); // one after another, in the order of the clicks

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.hasAttribute("data-swap")) return;
  event.preventDefault();
  const button = event.submitter;
  queue = queue.then(() => send(form, button));
});

document.addEventListener("keydown", (event) => {
  const form = event.target.form;
  if (!form?.hasAttribute("data-swap") || !(event.ctrlKey || event.metaKey)) return;
  if (event.key !== "s" && event.key !== "Enter") return;
  event.preventDefault();
  form.requestSubmit();
});

async function poll() {
  const wait = Number(document.querySelector("[data-poll]")?.dataset.poll);
  if (!wait) return;
  await new Promise((done) => setTimeout(done, wait));
  if (!document.hidden) {
    try {
      const response = await fetch(location.href);
      if (response.ok && !response.redirected) swap(parsed(await response.text()));
    } catch {
      // The server is away for a moment; the next round asks again.
    }
  }
  poll();
}

poll();
