// The stream of changes: one EventSource, told apart by event; says when the connection is lost and from when values are.

const KINDS = ["hello", "points", "commands", "overview", "log", "structure", "tick", "bye"];
const LOST_AFTER_MS = 5000;
const AGAIN_MS = 2000;

export class Live extends EventTarget {
  #source = null;
  #topic = "";
  #last = "";
  #heard = Date.now();
  #again = 0;
  lost = false;
  asOf = null;

  constructor() {
    super();
    setInterval(() => this.#watch(), 1000);
    addEventListener("online", () => this.#open());
  }

  // Which points the stream tells of: all, cards or none.
  follow(topic) {
    if (topic === this.#topic && this.#source && this.#source.readyState !== EventSource.CLOSED) return;
    this.#topic = topic;
    this.#last = "";
    this.#open();
  }

  on(kind, heard) {
    const pass = (event) => heard(event.detail);
    this.addEventListener(kind, pass);
    return () => this.removeEventListener(kind, pass);
  }

  #open() {
    clearTimeout(this.#again);
    this.#source?.close();
    const after = this.#last ? `&after=${encodeURIComponent(this.#last)}` : "";
    const source = new EventSource(`/api/v1/events?points=${this.#topic}${after}`);
    this.#source = source;
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        if (source === this.#source) this.#take(kind, event);
      });
    }
    source.addEventListener("error", () => {
      if (source !== this.#source || source.readyState !== EventSource.CLOSED) return;
      clearTimeout(this.#again);
      this.#again = setTimeout(() => this.#open(), AGAIN_MS);
      fetch("/api/v1/session", { cache: "no-store" }).then((answer) => {
        if (answer.status === 401) location.reload();
      }).catch(() => {});
    });
  }

  #take(kind, event) {
    this.#heard = Date.now();
    if (this.lost) this.#say(false);
    if (kind === "tick") {
      this.#last = event.lastEventId;
      this.asOf = new Date();
    }
    if (kind === "bye") location.reload();
    this.dispatchEvent(new CustomEvent(kind, { detail: JSON.parse(event.data) }));
  }

  #watch() {
    if (Date.now() - this.#heard > LOST_AFTER_MS && !this.lost) this.#say(true);
  }

  #say(lost) {
    this.lost = lost;
    this.dispatchEvent(new CustomEvent("link", { detail: { lost, asOf: this.asOf } }));
  }
}
