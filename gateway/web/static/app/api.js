// Questions to the gateway; every refusal is a sentence.

export class Refused extends Error {
  constructor(text, status) {
    super(text);
    this.status = status;
  }
}

export async function get(path, query = {}) {
  const wanted = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null));
  const asked = wanted.size ? `${path}?${wanted}` : path;
  return answerOf(await ask(asked, {}));
}

export async function post(path, body = {}) {
  const headers = { "Content-Type": "application/json", "X-Evce-Page": "1" };
  return answerOf(await ask(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

export function address(path, query = {}) {
  const wanted = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null));
  return `/api/v1/${path}${wanted.size ? `?${wanted}` : ""}`;
}

async function ask(path, options) {
  try {
    return await fetch(`/api/v1/${path}`, { ...options, credentials: "same-origin", cache: "no-store" });
  } catch {
    throw new Refused("The gateway does not answer.", 0);
  }
}

async function answerOf(response) {
  if (response.status === 204) return null;
  if (response.status === 401) {
    location.reload();
    throw new Refused("The login has ended.", 401);
  }
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(said.error || `The gateway answered ${response.status}.`, response.status);
  return said;
}
