const DECLARATIONS = [
  ["variant", "h3", "workbench-reply-variant"],
  ["endpoint", "p", "workbench-reply-place"],
  ["asked", "p", "workbench-reply-asked"],
  ["status", "p", "workbench-reply-status"],
  ["meter", "p", "workbench-reply-meter"],
];
const AWAY = "JupyterLab's server does not answer. What had come stays in view; what is answered meanwhile is in the ledger.";
// Characters. Much more at once, and the page stands still while they are laid out: ten seconds for five million.
const SHOWN_AT_ONCE = 200_000;

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(text, act) {
  const made = element("button", "workbench-reply-button", text);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

// A text of any length in a scrolling block, of which the page shows no more than it can lay out at once.
function longText(tag, name) {
  const block = element(tag, name);
  const rest = button("", () => show(shown + SHOWN_AT_ONCE));
  let text = "";
  let shown = 0;
  block.tabIndex = 0;
  rest.hidden = true;

  const show = (most) => {
    const atEnd = block.scrollHeight - block.scrollTop - block.clientHeight < 40;
    const next = text.slice(shown, most);
    if (next) block.append(document.createTextNode(next));
    shown += next.length;
    if (next && atEnd) block.scrollTop = block.scrollHeight;
    const left = text.length - shown;
    rest.hidden = left === 0;
    rest.textContent = `Show more (${left.toLocaleString("en")} characters are left)`;
  };
  return {
    block,
    rest,
    get text() {
      return text;
    },
    append(piece) {
      text += piece;
      show(SHOWN_AT_ONCE);
    },
    set(value) {
      if (value === text) return;
      const place = value.startsWith(text) ? block.scrollTop : 0;
      block.replaceChildren();
      [text, shown] = [value, 0];
      show(SHOWN_AT_ONCE);
      block.scrollTop = place;
    },
  };
}

function fillTable(table, title, heads, rows) {
  table.replaceChildren(element("caption", "", title));
  const head = table.createTHead().insertRow();
  for (const name of heads) head.append(Object.assign(element("th", "", name), { scope: "col" }));
  const body = table.createTBody();
  for (const cells of rows) {
    const row = body.insertRow();
    for (const cell of cells) row.insertCell().append(cell);
  }
}

// A text that can be folded away and copied; asked for when it is opened, for it may be long.
function copyable(title, ask) {
  const details = element("details", "workbench-reply-exchange");
  const copy = button("Copy", () => {
    const written = navigator.clipboard ? navigator.clipboard.writeText(text.text) : Promise.reject();
    written.then(
      () => (copy.textContent = "Copied"),
      () => getSelection().selectAllChildren(text.block),
    );
  });
  const text = longText("pre", "");
  copy.setAttribute("aria-label", `Copy the ${title.toLowerCase()}`);
  text.block.setAttribute("role", "region");
  text.block.setAttribute("aria-label", title);
  details.append(element("summary", "", title), copy, text.block, text.rest);
  if (ask) details.addEventListener("toggle", () => details.open && ask());
  const show = (value) => {
    text.set(value);
    copy.textContent = "Copy";
  };
  return { details, show };
}

// A person's quick word on a reply, kept as a label; pressed again, it is taken back.
function thumbs(give) {
  const group = element("div", "workbench-reply-thumbs");
  const said = element("span", "workbench-reply-thumb-said");
  const buttons = [
    ["up", "Good"],
    ["down", "Bad"],
  ].map(([thumb, word]) => [thumb, word, button(word, () => give(thumb))]);
  group.setAttribute("role", "group");
  said.setAttribute("role", "status");
  group.append(...buttons.map(([, , one]) => one), said);
  const show = ({ name, can_thumb: can, thumb, thumb_said: what }) => {
    group.hidden = !can;
    group.setAttribute("aria-label", `Your word on the reply of ${name}`);
    for (const [value, word, one] of buttons) {
      one.setAttribute("aria-pressed", String(value === thumb));
      one.setAttribute("aria-label", `${word} reply of ${name}`);
    }
    if (said.textContent !== what) said.textContent = what;
  };
  return { group, show };
}

// What one trial came to: its text, what went wrong, its scores.
function outcome(name) {
  const log = longText("div", "workbench-reply-log");
  const trouble = element("p", "workbench-reply-trouble");
  const scores = element("table", "workbench-reply-scores");
  log.block.setAttribute("role", "region");
  log.block.setAttribute("aria-live", "off");
  const show = ({ variant, trouble: why, scores: rows }) => {
    log.block.setAttribute("aria-label", `${name} of ${variant}`);
    if (trouble.textContent !== why) trouble.textContent = why;
    trouble.hidden = !why;
    scores.hidden = rows.length === 0;
    fillTable(scores, "Scores", ["grader", "score", "why"], rows);
  };
  // Where no text came, what became of the reply is said above, and an empty box would say nothing.
  const end = (text) => {
    log.set(text);
    log.block.hidden = !text;
  };
  return { log, show, end, parts: [log.block, log.rest, trouble, scores] };
}

// Called once for each widget, however many views it has: what arrived is kept here for a view opened later.
export default () => {
  const arrived = [];

  function initialize({ model }) {
    const keep = (message) => {
      if (message.restart) arrived.splice(0);
      else if (message.append !== undefined) arrived.push(message.append);
    };
    model.on("msg:custom", keep);
    return () => model.off("msg:custom", keep);
  }

  function render({ model, el }) {
    const root = element("section", "workbench-reply");
    const part = {};
    for (const [key, tag, name] of DECLARATIONS) root.append((part[key] = element(tag, name)));
    part.status.setAttribute("role", "status");
    part.status.setAttribute("aria-live", "polite");
    let isGone = false;
    const kernel = model.widget_manager?.kernel; // not in every host
    const isAway = () => ["connecting", "disconnected"].includes(kernel?.connectionStatus);

    const stop = button("Stop this one", () => model.send({ event: "stop" }));
    const said = element("details", "workbench-reply-said");
    const reply = outcome("Text of the reply");
    const ask = () => model.send({ event: "exchange" });
    const listing = element("details", "workbench-reply-listing");
    const rows = element("table");
    const listed = element("summary");
    listing.append(listed, rows);
    const earlier = element("div", "workbench-reply-earlier");
    const request = copyable("Request", ask);
    const response = copyable("Response", ask);
    const answer = element("form", "workbench-reply-answer");
    const words = element("textarea");
    const send = button("Send", () => {});
    send.type = "submit";
    words.rows = 2;
    words.placeholder = "Answer this reply";
    answer.append(words, send);
    answer.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!words.value.trim()) return;
      model.send({ event: "answer", text: words.value });
      words.value = "";
      reply.log.block.focus(); // the form goes away until there is a reply again
    });
    const thumb = thumbs((value) => model.send({ event: "thumb", thumb: value }));
    let showEarlierThumb = () => {};
    root.append(said, ...reply.parts, thumb.group, stop, answer, request.details, response.details, listing, earlier);

    const showSaid = () => {
      const turns = model.get("said");
      said.hidden = turns.length === 0;
      said.open = true;
      said.replaceChildren(element("summary", "", `Said before (${turns.length})`));
      for (const [who, text] of turns) {
        const turn = longText("div", "workbench-reply-turn");
        turn.set(text);
        turn.block.setAttribute("role", "region");
        turn.block.setAttribute("aria-label", `${who} said`);
        said.append(element("strong", "", who), turn.block, turn.rest);
      }
    };
    const showListing = () => {
      const trials = model.get("listing");
      listing.hidden = trials.length === 0;
      listed.textContent = model.get("listed");
      const opening = trials.map(([number, task, ...cells]) => {
        const open = button(task, () => model.send({ event: "open", number }));
        open.setAttribute("aria-label", `Show ${task}, repeat ${cells[0]}`);
        return [open, ...cells];
      });
      fillTable(rows, "Trials that have ended", ["task", "repeat", "outcome", "score"], opening);
    };
    const showEarlier = (trial) => {
      const shown = outcome("Text of an earlier reply");
      const title = element("h4", "", trial.title);
      const exchange = ["request", "response"].map((name) => {
        const part = copyable(name === "request" ? "Its request" : "Its response");
        part.show(trial[name]);
        return part.details;
      });
      title.tabIndex = -1;
      shown.show({ ...trial, variant: model.get("variant") });
      shown.end(trial.text);
      const { number } = trial;
      const word = thumbs((value) => model.send({ event: "thumb", thumb: value, number }));
      showEarlierThumb = (found) => found.number === number && word.show({ ...found, name: trial.title });
      showEarlierThumb(trial);
      const close = button("Close", () => {
        earlier.replaceChildren();
        listed.focus();
      });
      earlier.replaceChildren(title, element("p", "workbench-reply-meter", trial.meter), ...shown.parts, word.group, ...exchange, close);
      title.focus();
    };
    const take = (message) => {
      if (message.restart) reply.log.set("");
      else if (message.append !== undefined) reply.log.append(message.append);
      else if (message.opened) showEarlier(message.opened);
      else if (message.thumbed) showEarlierThumb(message.thumbed);
    };
    const showText = () => {
      const whole = model.get("text");
      if (typeof whole === "string") return reply.end(whole);
      reply.log.block.hidden = false;
      reply.log.set(arrived.join(""));
    };
    const showRest = () => {
      const variant = model.get("variant");
      root.setAttribute("aria-label", `Reply of ${variant}`);
      root.classList.toggle("workbench-reply-stand-in", model.get("is_stand_in"));
      for (const [key] of DECLARATIONS) {
        // Only what changed: a screen reader reads a status out each time it is set.
        if (key === "status" && isGone) continue;
        const text = key === "status" && isAway() && model.get("is_running") ? AWAY : model.get(key);
        if (part[key].textContent !== text) part[key].textContent = text;
      }
      reply.show({ variant, trouble: model.get("trouble"), scores: model.get("scores") });
      const held = document.activeElement === stop;
      stop.hidden = !model.get("is_running") || isGone;
      if (held && stop.hidden) request.details.querySelector("summary").focus(); // the keyboard would be nowhere
      words.setAttribute("aria-label", `Answer to ${variant}`);
      answer.hidden = !model.get("can_answer") || isGone;
      thumb.show({ name: variant, can_thumb: model.get("can_thumb") && !isGone, thumb: model.get("thumb"), thumb_said: model.get("thumb_said") });
      request.show(model.get("request"));
      response.show(model.get("response"));
    };
    const showGone = () => {
      isGone = true;
      if (model.get("is_running")) part.status.textContent = "The kernel is gone, so no more of this reply comes. What had come stays in view.";
      showRest();
    };

    const listeners = [["msg:custom", take], ["change:text", showText], ["change:said", showSaid]];
    for (const key of ["listed", "listing"]) listeners.push([`change:${key}`, showListing]);
    for (const key of [...DECLARATIONS.map(([name]) => name), "is_stand_in", "is_running", "trouble", "scores", "can_answer", "can_thumb", "thumb", "thumb_said", "request", "response"]) {
      listeners.push([`change:${key}`, showRest]);
    }
    listeners.push(["comm_live_update", showGone]);
    for (const [event, act] of listeners) model.on(event, act);
    kernel?.connectionStatusChanged?.connect(showRest);
    showText();
    showSaid();
    showListing();
    showRest();
    el.append(root);
    return () => {
      kernel?.connectionStatusChanged?.disconnect(showRest);
      listeners.forEach(([event, act]) => model.off(event, act));
    };
  }

  return { initialize, render };
};
