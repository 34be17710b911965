// Questions to the gateway; every refusal is a sentence.

export class Refused extends Error {
  constructor(text, status) {
    super(text);
    this.status = status;
  }
}

const GET_MS = 30000,
  POST_MS = 20000,
  FILE_MS = 180000;

export async function get(path, query = {}) {
  const wanted = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null));
  const asked = wanted.size ? `${path}?${wanted}` : path;
  return answerOf(await ask(asked, {}, GET_MS));
}

export async function post(path, body = {}) {
  const headers = { "Content-Type": "application/json", "X-Evce-Page": "1" };
  return answerOf(await ask(path, { method: "POST", headers, body: JSON.stringify(body) }, POST_MS), "POST");
}

// A file, under the name that the gateway gives it; raises Refused as the others do.
export async function save(path, query = {}) {
  const wanted = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ""));
  const response = await ask(wanted.size ? `${path}?${wanted}` : path, {}, FILE_MS);
  if (!response.ok) return answerOf(response);
  const named = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") || "");
  const file = await response.blob().catch(() => {
    throw silent();
  });
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = named ? named[1] : path.split("/").at(-1);
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
  return null;
}

export function address(path, query = {}) {
  const wanted = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null));
  return `/api/v1/${path}${wanted.size ? `?${wanted}` : ""}`;
}

// A network that dies says nothing: nobody waits for ever, and what became of a command then is not known.
async function ask(path, options, patience) {
  const signal = AbortSignal.timeout(patience);
  try {
    return await fetch(`/api/v1/${path}`, { ...options, signal, credentials: "same-origin", cache: "no-store" });
  } catch {
    throw silent(options.method);
  }
}

function silent(method = "GET") {
  const doubt = method === "POST" ? " Whether it took this is not known: look before you try again." : "";
  return new Refused(`The gateway does not answer.${doubt}`, 0);
}

async function answerOf(response, method = "GET") {
  if (response.status === 204) return null;
  if (response.status === 401) {
    location.reload();
    throw new Refused("The login has ended.", 401);
  }
  const said = await response.json().catch((error) => {
    if (response.ok && !(error instanceof SyntaxError)) throw silent(method); // it broke off
    return {};
  });
  if (!response.ok) throw new Refused(said.error || `The gateway answered ${response.status}.`, response.status);
  return said;
}
