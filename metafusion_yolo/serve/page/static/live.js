"use strict";

// What is watched: the newest picture of each pair, how it does, the last events and their clips.
const EVENTS = 30;
const PAUSE = 1000; // milliseconds between questions how the pairs do
let cards = new Map(); // by name of the pair

const seen = () => !document.hidden;

function card(name) {
  const made = element("article", "card feed");
  const picture = element("img");
  picture.alt = `What the pair ${name} shows`;
  const parts = { picture, badge: element("span", "badge"), figures: element("p", "soft figures"), number: 0 };
  const head = element("div", "head");
  head.append(element("h2", "", name), parts.badge);
  made.append(head, picture, parts.figures);
  $("feeds").append(made);
  cards.set(name, parts);
  show(name, parts);
}

async function show(name, parts) {
  // one request after the other, each answered with the next picture: at the pace of camera, detector and network
  for (;;) {
    if (!seen()) {
      await sleep(300);
      continue;
    }
    const view = $("look").value;
    try {
      const response = await ask(`/live/${name}?view=${view}&after=${view === parts.view ? parts.number : 0}`);
      if (response.status === 200) {
        const address = URL.createObjectURL(await response.blob());
        parts.number = Number(response.headers.get("x-number"));
        parts.view = view;
        const before = parts.picture.src;
        parts.picture.src = address;
        await parts.picture.decode().catch(() => {});
        if (before) URL.revokeObjectURL(before);
      } else await sleep(PAUSE);
    } catch {
      await sleep(PAUSE);
    }
  }
}

function tell(pair) {
  if (!cards.has(pair.name)) card(pair.name);
  const { badge, figures, picture } = cards.get(pair.name);
  const state = pair.trouble ? "bad" : pair.missing.length || pair.drifted ? "poor" : "good";
  badge.className = `badge ${state}`;
  badge.textContent = pair.missing.length ? `${pair.missing.join(" and ")} missing` : pair.trouble || (pair.drifted ? `out of registration by ${pair.drift} % of the width` : "both cameras");
  picture.classList.toggle("old", pair.rate === 0);
  const latency = pair.latency === null ? "–" : `${Math.round(1000 * pair.latency)} ms`;
  const dropped = Object.values(pair.dropped).reduce((sum, count) => sum + count, 0);
  const restarts = pair.restarts ? `, begun anew ${pair.restarts} times` : "";
  figures.textContent = `${pair.rate.toFixed(1)} a second, ${latency} behind, ${dropped} frames dropped${restarts}`;
}

const OF = { crowded: (event) => event.count, cleared: (event) => event.count };
function words(event) {
  const what = event.class ?? event.camera ?? OF[event.event]?.(event) ?? "";
  const more = event.direction ?? (event.temperature !== undefined ? `${event.temperature} ${event.unit}` : "");
  return [event.event, what, more].filter((word) => word !== "").join(" ");
}

function list(events) {
  const rows = events.map((event) => {
    const row = element("tr", "");
    const time = new Date(event.time);
    const moment = element("td", "moment", time.toLocaleTimeString());
    moment.title = time.toLocaleString();
    row.append(moment, element("td", "", event.pair), element("td", "", event.rule), element("td", "", words(event)));
    const cell = element("td", "number");
    if (event.clip) {
      const button = element("button", "play", "Clip");
      button.setAttribute("aria-label", `Clip of ${event.rule} at ${event.pair}, ${time.toLocaleTimeString()}`);
      button.addEventListener("click", () => play(event));
      cell.append(button);
    } else if (event.no_clip) cell.textContent = `no clip: ${event.no_clip}`;
    row.append(cell);
    return row;
  });
  $("told").replaceChildren(...rows);
  $("quiet").hidden = events.length > 0;
  $("told").closest(".scroll").hidden = !events.length;
}

const WRITING = "It is still being written; come back in some seconds.";

async function play(event) {
  const video = $("clip");
  $("clip-name").textContent = `${event.pair}: ${event.rule}, ${words(event)}, ${new Date(event.time).toLocaleString()}`;
  $("clip-state").textContent = "loading …";
  $("player").showModal();
  const response = await ask(`/clips/${event.clip}`);
  if (!response.ok) {
    $("clip-state").textContent = "There is none: no picture came around the event, or it is older than the clips that are kept.";
    return;
  }
  const clip = await response.blob();
  $("clip-state").textContent = clip.size ? "" : WRITING;
  if (!clip.size) return;
  video.hidden = false;
  video.src = URL.createObjectURL(clip);
}

$("clip").addEventListener("error", () => {
  if (!$("clip").getAttribute("src")) return;
  $("clip").hidden = true;
  $("clip-state").textContent = WRITING;
});
$("player").addEventListener("close", () => {
  URL.revokeObjectURL($("clip").src);
  $("clip").removeAttribute("src");
  $("clip").hidden = true;
});
$("close").addEventListener("click", () => $("player").close());

async function follow() {
  let shown = "";
  for (;;) {
    if (seen()) {
      try {
        const response = await ask("/live");
        if (response.ok) {
          const now = await response.json();
          now.pairs.forEach(tell);
          const waiting = Object.entries(now.waiting).filter(([, count]) => count);
          $("waiting").textContent = waiting.map(([name, count]) => `${count} events wait for the ${name}`).join(", ");
          const events = await (await ask(`/events?limit=${EVENTS}`)).json();
          const ids = events.map((event) => event.id).join();
          if (ids !== shown) list(events);
          shown = ids;
        }
      } catch {
        $("waiting").textContent = "the server does not answer";
      }
    }
    await sleep(PAUSE);
  }
}

follow();
