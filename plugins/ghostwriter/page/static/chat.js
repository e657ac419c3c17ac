// The chat page: sends questions, shows answers as they are written, takes votes. What a model says only ever becomes text.
"use strict";

const chat = document.getElementById("chat");
const words = chat.dataset;
const how = document.getElementById("how");
const form = document.getElementById("ask");
const box = form.elements.question;
const turns = document.getElementById("turns");
const problem = document.getElementById("problem");
const buttons = Object.fromEntries(["send", "stop", "retry", "new"].map((name) => [name, document.getElementById(name)]));

let messages = []; // the chat with one version so far
let latest = null; // what "another answer" asks again: {question, shown}
let running = null; // stops the answer that is being written

class Refused extends Error {}

const isBlind = () => how.elements.mode.value === "two";

function add(parent, tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  parent.append(made);
  return made;
}

function turn(parent, title, className) {
  const made = add(parent, "div", "", `turn ${className}`);
  const heading = add(made, "h3", title);
  const text = add(made, "p");
  return { made, heading, text };
}

function nameOf(version, asked) {
  if (version === "base") return words.base;
  const name = /^[0-9]+$/.test(version) ? words.version.replace("{}", version) : version;
  const alias = { champion: words.champion, previous: words.previous }[asked];
  return alias ? `${name} (${alias})` : name;
}

function tell(text) {
  problem.textContent = text;
  problem.hidden = !text;
}

function show(isRunning) {
  buttons.send.disabled = buttons.new.disabled = isRunning;
  buttons.stop.hidden = !isRunning;
  buttons.retry.hidden = isRunning || !latest;
  turns.setAttribute("aria-busy", String(isRunning));
}

async function send(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`${words.url}/${path}`, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (response.ok) return response;
  if (response.status === 401 || response.status === 403) throw new Refused(words.login);
  const said = await response.json().catch(() => ({}));
  if (said.is_down) throw new Refused(words.down);
  throw new Refused(typeof said.error === "string" ? said.error : `${words.broken} (${response.status})`);
}

async function* events(response) {
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const event = JSON.parse(part.slice("data: ".length));
      if (event.error) throw new Refused(event.error);
      yield event;
    }
  }
}

async function answer(shown, signal) {
  const one = turn(shown, "", "model");
  const waiting = add(one.made, "p", words.waiting, "note");
  const version = how.elements.first.value;
  let text = "";
  let end = null;
  try {
    for await (const event of events(await send("answer", { messages, version }, signal))) {
      if (event.version) one.heading.textContent = nameOf(event.version, version);
      if (event.text) {
        waiting.remove();
        one.text.textContent = text += event.text;
      }
      end = event.end || end;
    }
    if (!end) throw new Refused(words.broken);
    if (end === "length") add(one.made, "p", words.cut, "note");
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    add(one.made, "p", words.stopped, "note");
  } finally {
    waiting.remove();
    if (text) messages.push({ role: "assistant", content: text });
  }
}

async function compare(question, shown, signal) {
  const pair = add(shown, "div", "", "pair");
  const sides = { a: turn(pair, words.answer.replace("{}", "A"), "model"), b: turn(pair, words.answer.replace("{}", "B"), "model") };
  const waiting = add(shown, "p", words.waiting, "note");
  const versions = [how.elements.first.value, how.elements.second.value];
  try {
    const asked = { messages: [{ role: "user", content: question }], versions };
    let sealed = null;
    for await (const event of events(await send("compare", asked, signal))) {
      waiting.remove();
      for (const letter of ["a", "b"]) sides[letter].text.append(event[letter] || "");
      sealed = event.vote || sealed;
    }
    if (!sealed) throw new Refused(words.broken);
    askForVote(shown, sides, sealed);
  } catch (error) {
    if (!sides.a.text.textContent && !sides.b.text.textContent) pair.remove();
    if (error.name !== "AbortError") throw error;
    add(shown, "p", words.stopped, "note");
  } finally {
    waiting.remove();
  }
}

function askForVote(shown, sides, comparison) {
  shown.append(document.getElementById("vote").content.cloneNode(true));
  const choices = shown.querySelectorAll(".votes button");
  const enable = (isOn) => choices.forEach((button) => (button.disabled = !isOn));
  choices.forEach((button) =>
    button.addEventListener("click", async () => {
      enable(false);
      tell("");
      try {
        const named = await (await send("vote", { comparison, choice: button.value })).json();
        for (const letter of ["a", "b"]) {
          sides[letter].heading.textContent += `: ${nameOf(named[letter].version, named[letter].asked)}`;
        }
        button.classList.add("chosen");
        add(shown, "p", words.thanks, "note");
      } catch (error) {
        tell(error instanceof Refused ? error.message : words.broken);
        enable(true);
      }
    }),
  );
}

async function ask(question) {
  const shown = add(turns, "div");
  turn(shown, words.you, "user").text.textContent = question;
  const before = messages.length;
  latest = { question, shown, before };
  running = new AbortController();
  tell("");
  show(true);
  try {
    if (isBlind()) {
      await compare(question, shown, running.signal);
    } else {
      messages.push({ role: "user", content: question });
      await answer(shown, running.signal);
    }
  } catch (error) {
    tell(error instanceof Refused ? error.message : words.broken);
  } finally {
    if (messages.length === before + 1) messages.pop(); // a question nobody answered
    running = null;
    show(false);
    shown.scrollIntoView({ block: "nearest" });
  }
}

function startAnew() {
  messages = [];
  latest = null;
  turns.replaceChildren();
  tell("");
  show(false);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = box.value.trim();
  if (!question || running) return;
  if (isBlind() && how.elements.first.value === how.elements.second.value) return tell(words.same);
  box.value = "";
  ask(question);
});

box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

buttons.stop.addEventListener("click", () => running && running.abort());
buttons.new.addEventListener("click", startAnew);
buttons.retry.addEventListener("click", () => {
  messages.length = Math.min(messages.length, latest.before);
  latest.shown.remove();
  ask(latest.question);
});

how.addEventListener("change", () => {
  document.getElementById("second").hidden = !isBlind();
});

document.querySelectorAll(".starters button").forEach((button) =>
  button.addEventListener("click", () => {
    box.value = button.textContent;
    form.requestSubmit();
  }),
);

show(false);
