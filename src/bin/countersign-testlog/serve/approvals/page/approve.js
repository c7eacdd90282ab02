// Shows a request, hashes what it shows, and signs nonce and hash with a passkey.
// Everything from the request gets onto the page as text.
"use strict";

const at = (id) => document.getElementById(id);
const base = location.pathname.replace(/\/+$/, "");

// Canonical JSON (RFC 8785): JavaScript writes numbers and strings, and orders names, as it says.
function canonical(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return "[" + value.map(canonical).join(",") + "]";
  const members = Object.keys(value).sort().map((name) => JSON.stringify(name) + ":" + canonical(value[name]));
  return "{" + members.join(",") + "}";
}

// The same for people. Characters that nobody sees, or that change the order of others, are written as escapes.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const escape = (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0");
const visible = (text) => text.replace(UNSEEN, (found) => (found === "\n" ? found : found.split("").map(escape).join("")));

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = visible(text);
  return made;
}

// One element for each line. What is too long for its line goes on further right than it began, and does not pass for a
// line of its own.
function lines(text) {
  return text.split("\n").map((line) => {
    const made = element("span", "line", line);
    made.style.setProperty("--hang", Math.min(line.search(/\S|$/), 12) + 4 + "ch");
    return made;
  });
}

function encode(bytes) {
  const text = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join("");
  return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function decode(text) {
  return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
}

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

async function send(what, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await fetch(base + "/" + what, { ...options, cache: "no-store", credentials: "omit", redirect: "error" });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error || "the service answered " + answer.status);
  return value;
}

// What was shown first is what is hashed and signed; later answers change the status alone.
let request = null;
let hash = null;
let busy = false;

async function show(first) {
  request = first;
  at("action").textContent = visible(request.action);
  at("payload").replaceChildren(...lines(JSON.stringify(request.payload, null, 2)));
  at("username").textContent = visible(request.username);
  const withAction = request.payloadEncoding === "jcs-action-payload";
  const signed = withAction ? { action: request.action, payload: request.payload } : request.payload;
  at("signed").textContent = withAction
    ? "With your passkey you sign the action and the arguments."
    : "With your passkey you sign the arguments. The action text is not signed.";
  hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonical(signed))));
  at("hash").textContent = hex(hash);
  const same = hex(hash) === request.payloadHash;
  at("hash-result").replaceChildren(...(same
    ? ["It is the hash that the service names."]
    : ["The service names another hash: ", element("code", "", request.payloadHash)]));
  at("hash-result").className = same ? "same" : "differs";
  if (!same) {
    hash = null;
    at("signed").textContent = "";
    problem("What is shown is not what would be signed. Approving is not possible.");
  }
  at("request").hidden = false;
}

const OUTCOMES = {
  approved: "You can close this page.",
  rejected: "You can close this page.",
  expired: "Nobody decided in time.",
};

// Who decided hears of it: the heading has the focus then, and the buttons are gone.
function update(next, focus) {
  request = { ...request, status: next.status, credentialId: next.credentialId };
  const open = request.status === "pending";
  at("register").hidden = !open || request.credentialId !== null || hash === null;
  at("decide").hidden = !open;
  at("approve").disabled = busy || hash === null || request.credentialId === null;
  at("reject").disabled = busy;
  at("register-button").disabled = busy;
  if (!open) {
    const title = request.status[0].toUpperCase() + request.status.slice(1);
    at("title").textContent = title;
    document.title = title;
    at("outcome").textContent = OUTCOMES[request.status] || "";
    at("time").hidden = true;
  }
  if (focus) (open ? at("approve") : at("title")).focus();
}

const problem = (text) => { at("problem").textContent = text; };

function tick() {
  if (request === null || request.status !== "pending") return;
  const left = Math.max(0, Math.ceil((request.expiresAt - Date.now()) / 1000));
  at("left").textContent = left >= 60 ? Math.floor(left / 60) + " min " + (left % 60) + " s" : left + " s";
}

// One thing at a time; what goes wrong is said, and can be tried again.
async function attempt(work) {
  if (busy) return;
  busy = true;
  problem("");
  update(request, false);
  let next = request;
  try {
    next = await work();
  } catch (error) {
    problem(error.name === "NotAllowedError" ? "The passkey was not used: cancelled, or too late." : error.message);
    next = await send("request").catch(() => request);
  }
  busy = false;
  update(next, at("problem").textContent === "" || next.status !== "pending");
}

async function register() {
  const made = await navigator.credentials.create({
    publicKey: {
      rp: { id: request.rpId, name: "countersign-testlog" },
      user: { id: decode(request.userId), name: request.username, displayName: request.username },
      challenge: decode(request.registrationChallenge),
      pubKeyCredParams: [-7, -8, -257, -35].map((alg) => ({ type: "public-key", alg })),
      authenticatorSelection: { userVerification: "required", residentKey: "preferred" },
      attestation: "none",
    },
  });
  return send("passkey", {
    credentialId: encode(made.rawId),
    clientDataJSON: encode(made.response.clientDataJSON),
    authenticatorData: encode(made.response.getAuthenticatorData()),
  });
}

async function approve() {
  const nonce = decode(request.nonce);
  const challenge = new Uint8Array(nonce.length + hash.length);
  challenge.set(nonce);
  challenge.set(hash, nonce.length);
  const made = await navigator.credentials.get({
    publicKey: {
      challenge,
      rpId: request.rpId,
      allowCredentials: [{ type: "public-key", id: decode(request.credentialId) }],
      userVerification: "required",
    },
  });
  return send("approval", {
    credentialId: encode(made.rawId),
    clientDataJSON: encode(made.response.clientDataJSON),
    authenticatorData: encode(made.response.authenticatorData),
    signature: encode(made.response.signature),
  });
}

async function watch() {
  tick();
  if (busy || request.status !== "pending") return;
  const next = await send("request").catch(() => null);
  if (next !== null && !busy && next.status !== request.status) update(next, false);
}

async function start() {
  const first = await send("request");
  if (location.origin !== first.webOrigin) {
    problem("Passkeys of this service work at " + first.webOrigin + base + " alone.");
    return;
  }
  if (!window.PublicKeyCredential) throw new Error("this browser has no passkeys");
  await show(first);
  update(first, false);
  at("register-button").addEventListener("click", () => attempt(register));
  at("approve").addEventListener("click", () => attempt(approve));
  at("reject").addEventListener("click", () => attempt(() => send("rejection", {})));
  tick();
  setInterval(tick, 1000);
  setInterval(watch, 2000);
}

start().catch((error) => problem(error.message));
