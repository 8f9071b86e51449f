"use strict";

// What all pages share: questions to the server with the token, its state, and small helpers.
const $ = (id) => document.getElementById(id);
let ready = false; // whether the model is loaded; then "ready" happens to the document

// The token comes behind # in the address, which browsers send to nobody.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem("token", given);
  history.replaceState(null, "", location.pathname);
}

async function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(path, { ...options, headers });
  if (response.status === 401) $("login").hidden = false;
  return response;
}

async function askJson(path, options = {}) {
  const response = await ask(path, options);
  const content = await response.json();
  if (!response.ok) throw new Error(content.error);
  return content;
}

async function picture(path) {
  // an image that may need the token, as an address of this page
  const response = await ask(path);
  if (!response.ok) throw new Error((await response.json()).error);
  return URL.createObjectURL(await response.blob());
}

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value);
  location.reload();
});

function say(status, text) {
  $("state").dataset.status = status;
  $("state").textContent = text;
}

async function watch() {
  try {
    const response = await ask("/health?live=true");
    if (response.status === 401) return say("loading", "locked");
    const health = await response.json();
    ready = health.status === "ready";
    const count = Object.keys(health.names).length;
    say(health.status, ready ? `${health.model}, ${count} classes` : `loading ${health.model} …`);
  } catch {
    ready = false;
    say("gone", "the server does not answer; see where it was started");
  }
  document.dispatchEvent(new Event("ready"));
  if (!ready) setTimeout(watch, 500);
}

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

const element = (kind, className, ...content) => {
  const made = document.createElement(kind);
  made.className = className;
  made.append(...content);
  return made;
};
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const percent = (share) => `${Math.round(100 * share)} %`;
const colour = (number) => `hsl(${(number * 137.5 + 145) % 360} 85% 62%)`;

document.addEventListener("DOMContentLoaded", watch); // by then every script listens
