// The console's own API. Addresses are relative: the console may be mounted anywhere.

export class Failure extends Error {
  constructor(status, body) {
    super(body?.message ?? `The console answered ${status}.`);
    this.code = body?.code ?? "unknown";
    this.status = status;
  }
}

async function read(response) {
  const body = await response.json().catch(() => null);
  if (response.status === 401) location.reload(); // the session has ended: to the form
  if (!response.ok) throw new Failure(response.status, body);
  return body;
}

const get = (path) => fetch(path).then(read);
const part = encodeURIComponent;

export const about = () => get("api/about");
export const recent = () => get("api/jobs");
export const job = (id) => get(`api/jobs/${part(id)}`);
export const view = (id, viewer) => get(`api/jobs/${part(id)}/${viewerPath(viewer)}`);

const viewerPath = (viewer) => (viewer === null ? "sender" : `recipients/${part(viewer)}`);

// media is the address of a rendition as one viewer may have it; viewer null is the sender.
export const media = (id, viewer, item, rendition) =>
  `media/${part(id)}/${viewerPath(viewer)}/${part(item)}/${rendition.sha256}`;

export const send = (message) =>
  fetch("api/messages", { method: "POST", body: JSON.stringify(message) }).then(read);

// upload sends one file and tells how far it is, 0 to 1.
export function upload(file, kind, progress) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.open("POST", `api/uploads?kind=${kind}`);
    request.responseType = "json";
    request.upload.onprogress = (e) => e.lengthComputable && progress(e.loaded / e.total);
    request.onload = () =>
      request.status === 201 ? resolve(request.response) : reject(new Failure(request.status, request.response));
    request.onerror = () => reject(new Error("The upload was interrupted. Is the console still running?"));
    request.onabort = () => reject(new DOMException("removed", "AbortError"));
    request.send(file);
  });
  return { done, stop: () => request.abort() };
}

// follow tells of a job's every change until it has ended or stop is called.
export function follow(id, changed) {
  const source = new EventSource(`api/jobs/${part(id)}/events`);
  source.addEventListener("status", (e) => {
    const status = JSON.parse(e.data);
    if (status.state === "done" || status.state === "failed") source.close();
    changed(status);
  });
  return () => source.close();
}
