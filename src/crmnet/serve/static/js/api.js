// The server's API. Every error becomes an ApiError with one sentence for the reader.

const ROOT = "/api/v1";
const PATIENCE = 5; // tries while the server is busy

export class ApiError extends Error {
  constructor(message, field = null) {
    super(message);
    this.field = field;
  }
}

/** Sends a request and returns the JSON answer. Waits and tries again while the server is busy. */
export async function request(path, { body, method, signal } = {}) {
  for (let attempt = 1; ; attempt++) {
    const answer = await send(path, { body, method, signal });
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    if (answer.status !== 503 || attempt === PATIENCE) throw await problem(answer);
    await pause(Math.min(Number(answer.headers.get("Retry-After")) || 1, 5), signal);
  }
}

async function send(path, { body, method, signal }) {
  try {
    return await fetch(ROOT + path, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Check that crmnet serve is still running.");
  }
}

async function problem(answer) {
  try {
    const { error } = await answer.json();
    return new ApiError(error.message, error.field);
  } catch {
    return new ApiError(`The server answered with status ${answer.status}.`);
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    });
  });
}

/** Follows a job. `onstate` gets the job after each change; returns a function that stops following. */
export function follow(job, onstate, onlost) {
  const events = new EventSource(`${ROOT}/jobs/${encodeURIComponent(job)}/events`);
  const read = (event) => {
    if (event.data === undefined) return; // the connection broke: the browser connects again
    const state = JSON.parse(event.data);
    if (["done", "stopped", "failed"].includes(state.state)) events.close();
    onstate(state);
  };
  for (const name of ["progress", "done", "failed", "stopped"]) events.addEventListener(name, read);
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) onlost();
  });
  return () => events.close();
}

export const isAbort = (error) => error.name === "AbortError";
