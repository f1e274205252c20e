const DECLARATIONS = [
  ["variant", "h3", "workbench-reply-variant"],
  ["place", "p", "workbench-reply-place"],
  ["status", "p", "workbench-reply-status"],
  ["meter", "p", "workbench-reply-meter"],
  ["log", "div", "workbench-reply-log"],
  ["trouble", "p", "workbench-reply-trouble"],
  ["scores", "table", "workbench-reply-scores"],
];

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function showScores(table, rows) {
  table.replaceChildren();
  table.hidden = rows.length === 0;
  if (table.hidden) return;
  table.append(element("caption", "", "Scores"));
  for (const [grader, score, explanation] of rows) {
    const row = table.insertRow();
    const head = element("th", "", grader);
    head.scope = "row";
    row.append(head, element("td", "workbench-reply-score", score), element("td", "", explanation));
  }
}

function showListing(details, title, rows) {
  details.hidden = rows.length === 0;
  details.replaceChildren(element("summary", "", title));
  const table = element("table");
  table.append(element("caption", "", "Trials"));
  for (const cells of rows) for (const row of [table.insertRow()]) row.append(...cells.map((cell) => element("td", "", cell)));
  details.append(table);
}

// A text that can be folded away and copied; asked for when it is opened, for it may be long.
function copyable(title, ask) {
  const details = element("details", "workbench-reply-exchange");
  const copy = element("button", "", "Copy");
  const text = element("pre");
  copy.type = "button";
  copy.setAttribute("aria-label", `Copy the ${title.toLowerCase()}`);
  copy.addEventListener("click", () => {
    navigator.clipboard.writeText(text.textContent).then(
      () => (copy.textContent = "Copied"),
      () => getSelection().selectAllChildren(text),
    );
  });
  text.tabIndex = 0;
  details.append(element("summary", "", title), copy, text);
  details.addEventListener("toggle", () => details.open && ask());
  return { details, show: (value) => ((text.textContent = value), (copy.textContent = "Copy")) };
}

// Called once for each widget, however many views it has: what arrived is kept here for a view opened later.
export default () => {
  const arrived = [];

  function initialize({ model }) {
    const keep = (message) => (message.restart ? arrived.splice(0) : arrived.push(message.append));
    model.on("msg:custom", keep);
    return () => model.off("msg:custom", keep);
  }

  function render({ model, el }) {
    const root = element("section", "workbench-reply");
    const part = {};
    for (const [key, tag, name] of DECLARATIONS) root.append((part[key] = element(tag, name)));
    part.status.setAttribute("role", "status");
    part.status.setAttribute("aria-live", "polite");
    part.log.setAttribute("aria-live", "off");
    part.log.setAttribute("role", "region");
    part.log.tabIndex = 0;
    part.log.dir = "auto";

    const ask = () => model.send({ event: "exchange" });
    const listing = element("details", "workbench-reply-listing");
    const request = copyable("Request", ask);
    const response = copyable("Response", ask);
    const answer = element("form", "workbench-reply-answer");
    const words = element("textarea");
    const send = element("button", "", "Send");
    words.rows = 2;
    words.placeholder = "Answer this reply";
    answer.append(words, send);
    answer.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!words.value.trim()) return;
      model.send({ event: "answer", text: words.value });
      words.value = "";
    });
    root.append(answer, listing, request.details, response.details);

    const take = (message) => {
      if (message.restart) return part.log.replaceChildren();
      const atEnd = part.log.scrollHeight - part.log.scrollTop - part.log.clientHeight < 40;
      part.log.append(document.createTextNode(message.append));
      if (atEnd) part.log.scrollTop = part.log.scrollHeight;
    };
    const showText = () => (part.log.textContent = model.get("text") ?? arrived.join(""));
    const showRest = () => {
      const variant = model.get("variant");
      root.setAttribute("aria-label", `Reply of ${variant}`);
      part.log.setAttribute("aria-label", `Text of the reply of ${variant}`);
      root.classList.toggle("workbench-reply-stand-in", model.get("is_stand_in"));
      for (const key of ["variant", "place", "status", "meter", "trouble"]) {
        // Only what changed: a screen reader reads a status out each time it is set.
        if (part[key].textContent !== model.get(key)) part[key].textContent = model.get(key);
      }
      part.trouble.hidden = !model.get("trouble");
      showScores(part.scores, model.get("scores"));
      words.setAttribute("aria-label", `Answer to ${variant}`);
      answer.hidden = !model.get("can_answer");
      showListing(listing, model.get("listed"), model.get("listing"));
      request.show(model.get("request"));
      response.show(model.get("response"));
    };

    const listeners = [["msg:custom", take], ["change:text", showText]];
    for (const key of ["variant", "place", "is_stand_in", "status", "meter", "trouble", "scores", "can_answer", "listed", "listing", "request", "response"]) {
      listeners.push([`change:${key}`, showRest]);
    }
    for (const [event, act] of listeners) model.on(event, act);
    showText();
    showRest();
    el.append(root);
    return () => listeners.forEach(([event, act]) => model.off(event, act));
  }

  return { initialize, render };
};
