// Keeps the open page up to date: fetches the same page, and changes what differs. Without it the page is read and used as well.

const EVERY = 1000;

/** Makes `old` like `next` and keeps every element that stays, so that focus, scrolling and what is unfolded stay too. */
function become(old, next) {
  if (old.isEqualNode(next)) return;
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !(old.tagName === "DETAILS" && name === "open")) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const keep = new Set([...next.children].map((child) => child.id).filter(Boolean));
  for (const child of [...old.children]) {
    if (child.id && !keep.has(child.id)) child.remove();
  }
  let at = old.firstChild;
  for (const child of [...next.childNodes]) {
    const known = child.id && [...old.children].find((other) => other.id === child.id);
    if (known && known !== at) {
      old.insertBefore(known, at);
      at = known;
    }
    if (at && at.nodeName === child.nodeName && (at.id ?? "") === (child.id ?? "")) {
      if (at.nodeType === Node.ELEMENT_NODE) become(at, child);
      else if (at.nodeValue !== child.nodeValue) at.nodeValue = child.nodeValue;
      at = at.nextSibling;
    } else {
      old.insertBefore(document.importNode(child, true), at);
    }
  }
  while (at) {
    const rest = at.nextSibling;
    at.remove();
    at = rest;
  }
}

function show(text) {
  const next = new DOMParser().parseFromString(text, "text/html");
  document.title = next.title;
  become(document.body, next.body);
}

async function look() {
  const url = new URL(location.href);
  url.hash = "";
  url.searchParams.set("live", "1");
  const answer = await fetch(url);
  if (answer.ok) show(await answer.text());
}

async function watch() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    if (document.hidden) continue;
    try {
      await look();
    } catch {
      document.getElementById("news").textContent = "Nobody answers any more: this is how it was.";
      return;
    }
  }
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  event.preventDefault();
  const button = event.submitter;
  button?.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    // What was started is the newest execution: the page follows it.
    if (["event", "again"].some((action) => form.action.endsWith(`/${action}`))) history.replaceState(null, "", "./");
    if (answer.ok) await look();
  } finally {
    button?.removeAttribute("aria-busy");
  }
});

watch();
