"use strict";

// The infrared image lies over the visible one by a 3 x 3 matrix, which four points or the pairs themselves change.
const ANCHORS = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]; // of the infrared image, shares
const GOOD = 2; // pixels at the detector's input
let number = 0;
let count = 0;
let overlay = null;
let matrix = null;
let points = []; // where the anchors lie, pixels of the visible image
let changed = false;
let busy = false;
let handles = [];

const address = (more = "") => `/registration/${encodeURIComponent($("source").value)}${more}`;
const apply = (m, [x, y]) => {
  const [u, v, w] = m.map((row) => row[0] * x + row[1] * y + row[2]);
  return [u / w, v / w];
};
const anchors = () => ANCHORS.map(([x, y]) => [x * overlay.infrared_size[0], y * overlay.infrared_size[1]]);

function through(from, to) {
  // the homography through four points: eight linear equations, by elimination with pivots
  const rows = from.flatMap(([x, y], i) => {
    const [u, v] = to[i];
    return [[x, y, 1, 0, 0, 0, -u * x, -u * y, u], [0, 0, 0, x, y, 1, -v * x, -v * y, v]];
  });
  for (let k = 0; k < 8; k++) {
    const pivot = rows.slice(k).reduce((best, row, i) => (Math.abs(row[k]) > Math.abs(rows[best][k]) ? k + i : best), k);
    [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
    if (Math.abs(rows[k][k]) < 1e-9) return null;
    for (let i = 0; i < 8; i++) {
      if (i === k) continue;
      const factor = rows[i][k] / rows[k][k];
      rows[i] = rows[i].map((value, j) => value - factor * rows[k][j]);
    }
  }
  const h = rows.map((row, k) => row[8] / row[k]);
  return [h.slice(0, 3), h.slice(3, 6), [h[6], h[7], 1]];
}

function draw() {
  if (!overlay) return;
  const scale = $("visible").clientWidth / overlay.width;
  const [[a, b, c], [d, e, f], [g, h, i]] = matrix;
  $("infrared").style.width = `${overlay.infrared_size[0]}px`;
  $("infrared").style.height = `${overlay.infrared_size[1]}px`;
  $("infrared").style.transform = `matrix3d(${[scale * a, scale * d, 0, g, scale * b, scale * e, 0, h, 0, 0, 1, 0, scale * c, scale * f, 0, i]})`;
  $("infrared").style.opacity = $("opacity").value;
  $("share").textContent = percent($("opacity").value);
  handles.forEach((handle, k) => {
    handle.style.left = `${points[k][0] * scale}px`;
    handle.style.top = `${points[k][1] * scale}px`;
  });
  $("matrix").textContent = matrix.map((row) => row.map((value) => value.toPrecision(5).padStart(11)).join("")).join("\n");
  $("undo").disabled = $("save").disabled = busy || !changed;
  $("estimate").disabled = $("measure").disabled = busy;
}

function set(m, from) {
  matrix = m.map((row) => row.map((value) => value / m[2][2]));
  points = anchors().map((point) => apply(matrix, point));
  changed = from;
  draw();
}

function move(k, point) {
  const to = points.map((one, i) => (i === k ? point : one));
  const found = through(anchors(), to);
  if (!found) return;
  [points, matrix, changed] = [to, found, true];
  tell({ pixels: null, words: "not measured" });
  draw();
}

function tell(quality) {
  $("pixels").textContent = quality.pixels === null ? "–" : `${quality.pixels.toFixed(1)} px`;
  $("pixels").className = `figure ${quality.pixels === null ? "" : quality.pixels <= GOOD ? "good" : "poor"}`;
  $("words").textContent = quality.words;
}

async function look(keep) {
  const given = await askJson(address(`?number=${number}`));
  for (const name of ["visible", "infrared"]) {
    $(name).src = `data:image/jpeg;base64,${given.images[name]}`;
    await $(name).decode();
  }
  const same = overlay && keep && given.width === overlay.width && given.infrared_size.join() === overlay.infrared_size.join();
  overlay = given;
  if (same && changed) draw();
  else set(given.matrix, false);
}

async function doing(words, work) {
  if (busy) return;
  busy = true;
  problem("");
  $("saved").textContent = "";
  $("words").textContent = words;
  draw();
  try {
    await work();
  } catch (error) {
    problem(error.message);
    $("words").textContent = "";
  }
  busy = false;
  draw();
}

const post = (path, content, method = "POST") =>
  askJson(path, { method, body: content && JSON.stringify(content), headers: { "Content-Type": "application/json" } });
const measure = () => doing("measuring …", async () => tell(await post(address("/quality"), { matrix })));

handles = ANCHORS.map((_, k) => {
  const handle = element("button", "handle");
  handle.setAttribute("aria-label", `Point ${k + 1} of 4`);
  let held = false;
  handle.addEventListener("pointerdown", (event) => {
    held = true;
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!held) return;
    const area = $("over").getBoundingClientRect();
    const scale = overlay.width / area.width;
    move(k, [(event.clientX - area.left) * scale, (event.clientY - area.top) * scale]);
  });
  for (const kind of ["pointerup", "pointercancel"]) handle.addEventListener(kind, () => (held = false));
  handle.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const by = event.shiftKey ? 10 : 1;
    move(k, [points[k][0] + by * way[0], points[k][1] + by * way[1]]);
  });
  $("over").append(handle);
  return handle;
});

async function tellProgress() {
  const { progress } = await askJson("/registration");
  if (!busy || progress === null) return;
  $("words").textContent = progress < 1 ? `looking for the registration: ${percent(progress)}` : "refining it …";
}
$("estimate").addEventListener("click", () =>
  doing(live() ? "taking pairs for some seconds …" : "reading the pairs …", async () => {
    const telling = setInterval(() => tellProgress().catch(() => {}), 500);
    const found = await post(address("/estimate")).finally(() => clearInterval(telling));
    set(found.matrix, true);
    tell(found);
  }),
);
$("measure").addEventListener("click", measure);
$("undo").addEventListener("click", () => set(overlay.matrix, false) ?? measure());
$("save").addEventListener("click", () =>
  doing("writing …", async () => {
    const { written } = await post(address(), { matrix }, "PUT");
    await look(false);
    tell({ pixels: null, words: "" });
    $("saved").textContent = `Written into ${written}.`;
  }).then(() => !$("problem").textContent && $("source").value === "data set" && post(address("/quality"), { matrix }).then(tell)),
);
const live = () => $("source").value !== "data set";
function turn(by) {
  number = (number + by + count) % count;
  look(true).catch((error) => problem(error.message));
}
$("before").addEventListener("click", () => turn(-1));
$("next").addEventListener("click", () => turn(1));
$("opacity").addEventListener("input", draw);
$("blink").addEventListener("change", () => $("over").classList.toggle("blink", $("blink").checked));
window.addEventListener("resize", draw);

async function begin() {
  $("before").hidden = $("next").hidden = live();
  [overlay, changed, number] = [null, false, 0];
  await look(false).catch((error) => problem(error.message));
  if (overlay) measure();
}
$("source").addEventListener("change", begin);

async function follow() {
  for (;;) {
    await sleep(1000);
    if (live() && !document.hidden && !busy) await look(true).then(() => problem(""), (error) => problem(error.message));
  }
}

async function load() {
  try {
    const given = await askJson("/registration");
    count = given.pairs;
    $("source").replaceChildren(...given.sources.map((name) => new Option(name, name)));
    $("room").hidden = false;
    await begin();
    follow();
  } catch (error) {
    $("nothing").hidden = !error.message.startsWith("no data set");
    problem($("nothing").hidden ? error.message : "");
  }
}
load();
