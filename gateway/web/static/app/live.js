// The stream of changes: one EventSource; says when the connection is lost, and from when the values are.

const KINDS = ["hello", "points", "commands", "overview", "log", "structure", "tick", "bye"];
const LOST_AFTER_MS = 5000;
const DEAD_AFTER_MS = 10000;
const AGAIN_MS = 2000;
const PATIENCE_MS = 1500;

export class Live extends EventTarget {
  #source = null;
  #topic = "";
  #last = "";
  #heard = Date.now();
  #opened = 0;
  #again = 0;
  #generation = null;
  #first = null;
  #followed = Promise.resolve();
  #ahead_s = 0;
  lost = false;
  asOf = null;

  constructor() {
    super();
    setInterval(() => this.#watch(), 1000);
    addEventListener("online", () => this.#open());
  }

  // Which points the stream tells of: all, cards or none. Settles when it tells, so that what is loaded then misses
  // nothing; or after a while, for a page without a stream is better than an empty one.
  follow(topic) {
    if (topic === this.#topic && this.#source && this.#source.readyState !== EventSource.CLOSED) return this.#followed;
    this.#topic = topic;
    this.#last = "";
    this.#first?.();
    this.#followed = new Promise((resolve) => {
      this.#first = resolve;
      setTimeout(() => {
        if (this.#first === resolve) this.#first = null; // a stream that tells later makes the section load anew
        resolve();
      }, PATIENCE_MS);
      this.#open();
    });
    return this.#followed;
  }

  // The gateway's time, in Unix seconds: a tablet's own clock may be wrong by an hour.
  now() {
    return Date.now() / 1000 + this.#ahead_s;
  }

  on(kind, heard) {
    const pass = (event) => heard(event.detail);
    this.addEventListener(kind, pass);
    return () => this.removeEventListener(kind, pass);
  }

  #open() {
    clearTimeout(this.#again);
    this.#source?.close();
    this.#opened = Date.now();
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
      fetch("/api/v1/session", { cache: "no-store" })
        .then((answer) => {
          if (answer.status === 401) location.reload();
        })
        .catch(() => {});
    });
  }

  #take(kind, event) {
    const detail = JSON.parse(event.data);
    this.#heard = Date.now();
    if (!detail.resumed) {
      // a stream that goes on has said nothing of the values yet when it greets; else they are loaded anew
      this.asOf = new Date();
      if (this.lost) this.#say(false);
    }
    if (detail.utc) this.#ahead_s = detail.utc - this.#heard / 1000;
    if (kind === "tick") this.#last = event.lastEventId;
    if (kind === "bye") location.reload();
    if (kind === "hello") this.#greeted(detail);
    if (kind === "structure") this.#generation = detail.generation;
    this.#tell(kind, detail);
  }

  // After a break: `back` when the stream goes on where it stopped, `anew` when everything must be loaded again.
  #greeted({ resumed, generation }) {
    const moved = this.#generation !== generation;
    this.#generation = generation;
    if (this.#first) {
      this.#first();
      this.#first = null;
    } else {
      this.#tell(resumed && !moved ? "back" : "anew", null);
    }
  }

  // A network that dies closes nothing: a stream that is silent for long is opened again.
  #watch() {
    const silent = Date.now() - this.#heard;
    if (silent > LOST_AFTER_MS && !this.lost) this.#say(true);
    if (silent > DEAD_AFTER_MS && Date.now() - this.#opened > DEAD_AFTER_MS) this.#open();
  }

  #say(lost) {
    this.lost = lost;
    this.#tell("link", { lost, asOf: this.asOf });
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
