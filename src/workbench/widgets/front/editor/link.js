// The page's end of the line to the kernel. What is typed is sent at once, one message of a kind on its way at a time:
// while the kernel is busy, what is typed gathers here, and goes as one when it answers.
//
//   page                                   kernel
//   hello {versions}                  ->   updates {what the page missed}, state
//   push {text, version, updates}     ->   updates {the same, if they were made on its newest version; else its own}
//                                          or reset {text, version}, when it no longer knows what the page missed
//   pull {text, version}              ->   updates (the page found that it missed some)
//   look                              ->   state (problems, changes, costs: too dear to work out with every key)
//   field, examples {client, seq}     ->   state, in which heard[client] is the seq
//   act {act, with}                   ->   state, and for some acts a message of their own
import { ChangeSet, Text } from "@codemirror/state";

const LOOK_AFTER_MS = 120;
const LOOK_AT_LEAST_EVERY_MS = 600;
const SLOW_AFTER_MS = 3000;

export class Link {
  constructor(model) {
    const { facts, state, texts } = model.get("snapshot");
    this.model = model;
    this.facts = facts;
    this.state = state;
    // A page that is loaded again is another client: the kernel's count of what it heard belongs to the page before.
    this.client = Math.random().toString(36).slice(2);
    this.isGone = false;
    this.texts = {};
    for (const [name, { text, version }] of Object.entries(texts)) {
      this.texts[name] = { doc: Text.of(text.split("\n")), version };
    }
    this.listeners = new Set();
    this.writers = new Set();
    this.controls = new Map(); // by control: what is to be sent
    this.sent = 0; // how many values of controls
    this.onItsWay = null; // the control whose value was sent and not heard of
    this.acts = [];
    this.slow = null;
    this.looksAgain = false;
    this.kernel = model.widget_manager?.kernel; // not in every host
    this.kernel?.connectionStatusChanged?.connect(() => this.tell({ type: "connection" }));
    model.on("msg:custom", (message) => this.hear(message));
    model.on("comm_live_update", () => {
      this.isGone = true;
      this.tell({ type: "gone" });
    });
    // Between the snapshot and the listener above, changes may have passed by: this asks for them.
    const versions = Object.fromEntries(Object.entries(this.texts).map(([name, text]) => [name, text.version]));
    this.send({ type: "hello", versions });
  }

  // Whether nothing that is sent arrives now: the server was ended, or the network is.
  get isAway() {
    return ["connecting", "disconnected"].includes(this.kernel?.connectionStatus);
  }

  send(message) {
    if (!this.isGone) this.model.send(message);
  }

  listen(call) {
    this.listeners.add(call);
    return () => this.listeners.delete(call);
  }

  tell(message) {
    for (const call of [...this.listeners]) call(message);
  }

  hear(message) {
    if (message.type === "updates") this.takeUpdates(message);
    else if (message.type === "reset") this.takeReset(message);
    else if (message.type === "state") {
      this.state = message.state;
      if ((message.state.heard[this.client] ?? 0) >= this.sent) this.onItsWay = null;
      this.tell(message);
    } else this.tell(message);
    this.pump();
  }

  takeUpdates({ text: name, version, updates }) {
    const text = this.texts[name];
    // Updates of which the ones before never came, as after a connection that broke: ask for all that is missing.
    if (version > text.version) return this.send({ type: "pull", text: name, version: text.version });
    // The answer to a push and a change by a cell may cross, so the first of these may be known already.
    const news = updates
      .slice(text.version - version)
      .map(({ client, changes }) => ({ clientID: client, changes: ChangeSet.fromJSON(changes) }));
    for (const { changes } of news) text.doc = changes.apply(text.doc);
    text.version += news.length;
    this.tell({ type: "updates", text: name, updates: news });
  }

  takeReset({ text: name, ...snapshot }) {
    this.texts[name] = { doc: Text.of(snapshot.text.split("\n")), version: snapshot.version };
    this.tell({ type: "reset", text: name });
  }

  // A control's value, the newest in place of one that still waits here.
  setControl(name, message) {
    this.controls.delete(name); // so that it goes to the end: values are sent in the order in which they were last set
    this.controls.set(name, message);
    this.pump();
  }

  // Whether the kernel has heard all that this control had to say, so that its own value may be shown.
  isHeard(name) {
    return !this.controls.has(name) && this.onItsWay !== name;
  }

  // A button: after everything that was typed before it.
  act(name, given = {}) {
    this.afterTyped({ type: "act", act: name, with: given });
  }

  // Sends a message, or calls a function, when the kernel has heard what was typed before.
  afterTyped(act) {
    this.acts.push(act);
    for (const writer of this.writers) writer.push();
    this.pump();
  }

  get areWritersSettled() {
    return [...this.writers].every((writer) => writer.isSettled);
  }

  get isSettled() {
    return this.onItsWay === null && this.controls.size === 0 && this.areWritersSettled;
  }

  pump() {
    if (this.onItsWay === null && this.controls.size) {
      const [name, message] = this.controls.entries().next().value;
      this.controls.delete(name);
      this.onItsWay = name;
      this.send({ ...message, client: this.client, seq: ++this.sent });
    }
    // The kernel answers a push at once but shows problems only when it looks: once more, for what came in late.
    if (this.looksAgain && this.areWritersSettled) {
      this.looksAgain = false;
      this.send({ type: "look" });
    }
    // A button means the draft as it is seen, so it waits for what is on its way. Acts do not wait for each other.
    while (this.isSettled && this.acts.length) {
      const act = this.acts.shift();
      if (typeof act === "function") act();
      else this.send(act);
    }
    this.watch();
  }

  // Says so when the kernel has not answered for a while.
  watch() {
    if (this.isSettled && !this.acts.length) {
      clearTimeout(this.slow);
      if (this.slow !== null) this.tell({ type: "slow", isSlow: false });
      this.slow = null;
    } else this.slow ??= setTimeout(() => this.tell({ type: "slow", isSlow: true }), SLOW_AFTER_MS);
  }

  // Has the kernel look at what was typed when one pauses, and now and then while one does not.
  lookSoon() {
    const now = performance.now();
    this.typedSince ??= now;
    clearTimeout(this.look);
    const wait = Math.max(0, Math.min(LOOK_AFTER_MS, this.typedSince + LOOK_AT_LEAST_EVERY_MS - now));
    this.look = setTimeout(() => this.lookNow(), wait);
  }

  lookNow() {
    clearTimeout(this.look);
    if (this.typedSince === undefined) return;
    this.typedSince = undefined;
    for (const writer of this.writers) writer.push();
    this.send({ type: "look" });
    this.looksAgain = !this.areWritersSettled; // at what is still to be sent
  }
}
