"use strict";

// The pairs of the opened data set: filtered here, looked at in all views, corrected on the canvas.
const LONGEST = 500; // rows of the list
const VIEWS = [...document.querySelectorAll("#views button")].map((button) => button.dataset.view);
const [TRUTH, MISS, HIT, FALSE, OTHER] = ["#ffffff", "#ffd60a", "#50dc64", "#ff6450", "#9aa5b1"];
let now = null; // the list
let chosen = -1; // number of the pair that is shown
let pair = null;
let pictures = [];
let views = [];
let labels = []; // {class, box, shown_in}, shares
let marked = -1;
let changed = false;
let drag = null;
let asked = 0;

const range = (id) => $(id).value.split(",").map(Number);
const within = (value, [low, high]) => value >= low && value < high;

function matching() {
  const [kind, size, light, show, weight] = [$("kind").value, range("size"), $("light").value, $("show").value, range("weight")];
  const camera = $("camera").value;
  const all = weight[0] === 0 && weight[1] > 1;
  const fits = (one) => (!kind || String(one[0]) === kind) && within(one[1], size) && (camera === "all" || one[3] === camera);
  const any = !kind && camera === "all" && $("size").selectedIndex === 0;
  return now.pairs
    .map((one, number) => ({ ...one, number }))
    .filter((one) => one.part === $("part").value)
    .filter((one) => any || one.objects.some(fits) || (show === "wrong" && (one.wrong ?? []).length))
    .filter((one) => !light || one.condition === light)
    .filter((one) => all || (one.share !== null && within(one.share, weight)))
    .filter((one) => {
      if (show === "missed") return one.objects.some((object) => object[2] && fits(object));
      if (show === "wrong") return (one.wrong ?? []).some(([name]) => !kind || now.names[kind] === name);
      return show !== "none" || !one.objects.length;
    });
}

function list() {
  const some = matching();
  const known = now.pairs.filter((one) => one.part === $("part").value);
  const done = known.filter((one) => one.wrong !== null).length;
  $("count").textContent = `${some.length} of ${known.length} pairs${some.length > LONGEST ? `, the first ${LONGEST} here` : ""}`;
  $("progress").textContent = now.running ? `${done} of ${known.length} done` : done ? `predictions on ${done} of ${known.length}` : "";
  $("review").disabled = !ready || Boolean(now.running) || done === known.length;
  $("rows").replaceChildren(
    ...some.slice(0, LONGEST).map((one) => {
      const open = element("button", "open", ...one.name.split(/(?<=[/_-])/).flatMap((part) => [part, element("wbr", "")]));
      open.addEventListener("click", () => show(one.number));
      const name = element("td", "", open);
      const missed = one.wrong === null ? "–" : one.objects.filter((object) => object[2]).length;
      const wrong = one.wrong === null ? "–" : one.wrong.length;
      const share = one.share === null ? "–" : percent(one.share);
      const cells = [one.objects.length, missed, wrong, share].map((text) => element("td", "number", String(text)));
      const row = element("tr", "", name, ...cells);
      if (one.number === chosen) row.setAttribute("aria-current", "true");
      return row;
    }),
  );
  return some;
}

function choices(id, values, keep) {
  const before = $(id).value;
  $(id).replaceChildren(...keep, ...values.map(([value, text]) => new Option(text, value)));
  if ([...$(id).options].some((one) => one.value === before)) $(id).value = before;
}

async function load() {
  try {
    const first = now === null;
    now = await askJson("/pairs");
    $("room").hidden = false;
    problem("");
    const parts = [...new Set(now.pairs.map((one) => one.part))];
    choices("part", parts.map((part) => [part, part]), []);
    if (first && parts.includes("val")) $("part").value = "val";
    choices("kind", Object.entries(now.names), [new Option("all", "")]);
    if (first) choices("class", Object.entries(now.names), []);
    const lights = [...new Set(now.pairs.map((one) => one.condition).filter(Boolean))].sort();
    choices("light", lights.map((name) => [name, name]), [new Option("all", "")]);
    const some = list();
    if (first && some.length) show(some[0].number);
    if (now.running) setTimeout(load, 1000);
  } catch (error) {
    $("nothing").hidden = !error.message.startsWith("no data set");
    problem($("nothing").hidden ? error.message : "");
  }
}

async function show(number) {
  if (changed && number !== chosen && !confirm("The corrections of this pair are not saved. Leave them?")) return;
  const turn = ++asked;
  problem("");
  try {
    const given = await askJson(`/pairs/${number}`);
    if (turn === asked) await take(number, given);
  } catch (error) {
    problem(error.message);
  }
}

async function take(number, given) {
  const decoded = {};
  for (const [view, data] of Object.entries(given.answer.images)) {
    decoded[view] = new Image();
    decoded[view].src = `data:image/jpeg;base64,${data}`;
    await decoded[view].decode();
  }
  const near = views[Math.round($("view").value)] ?? "fused";
  [pair, chosen, marked, changed] = [given, number, -1, false];
  labels = given.labels.map((one) => ({ ...one, box: { ...one.box } }));
  views = VIEWS.filter((view) => decoded[view]);
  pictures = views.map((view) => decoded[view]);
  $("view").max = views.length - 1;
  $("view").value = Math.max(0, views.indexOf(near));
  document.querySelectorAll("#views button").forEach((button) => (button.hidden = !views.includes(button.dataset.view)));
  $("name").textContent = given.name;
  $("hint").textContent = given.problem ? `Labels cannot be corrected here: ${given.problem}` : $("hint").dataset.text;
  update();
  list();
}

function pixels(box) {
  const { width, height } = pair.answer;
  return { x1: box.x1 * width, y1: box.y1 * height, x2: box.x2 * width, y2: box.y2 * height };
}

function overlap(a, b) {
  const side = (low, high) => Math.max(0, Math.min(a[high], b[high]) - Math.max(a[low], b[low]));
  const area = (one) => (one.x2 - one.x1) * (one.y2 - one.y1);
  const both = side("x1", "x2") * side("y1", "y2");
  return both / (area(a) + area(b) - both);
}

function judged() {
  // as the server judges: each sure detection finds at most one label of its name
  const taken = new Set();
  const known = new Set(Object.values(now.names));
  const sure = pair.answer.detections.filter((one) => one.confidence >= 0.25);
  const found = sure.map((one) => {
    const fits = labels.map((label, k) => [overlap(one.box, pixels(label.box)), k]);
    const free = fits.filter(([iou, k]) => iou >= 0.5 && !taken.has(k) && now.names[labels[k].class] === one.name);
    const best = free.sort((a, b) => b[0] - a[0])[0];
    if (best) taken.add(best[1]);
    return { ...one, text: `${one.name} ${one.confidence.toFixed(2)}`, colour: best ? HIT : known.has(one.name) ? FALSE : OTHER, dashed: true };
  });
  const truth = labels.map((one, k) => {
    const colour = taken.has(k) || !pair.answer.detections.length ? TRUTH : MISS;
    const alone = ["visible", "infrared"].includes(one.shown_in) ? `, ${one.shown_in} only` : "";
    return { box: pixels(one.box), text: `${now.names[one.class] ?? one.class}${alone}`, colour };
  });
  return { found, truth };
}

function draw() {
  if (!pair) return;
  const at = Number($("view").value);
  const drawn = paint($("stage"), pair.answer, pictures, at);
  const near = views[Math.round(at)];
  document.querySelectorAll("#views button").forEach((one) => one.setAttribute("aria-pressed", one.dataset.view === near));
  $("view").setAttribute("aria-valuetext", near);
  const { found, truth } = judged();
  drawBoxes(drawn, $("found").checked ? [...truth, ...found] : truth, marked);
  if (drag?.box) drawBoxes(drawn, [{ box: pixels(drag.box), text: "", colour: "#3ea6ff" }]);
}

function update() {
  const free = !pair.problem;
  choices("object", labels.map((one, k) => [k, `${k + 1}: ${now.names[one.class] ?? one.class}`]), [new Option("none", -1)]);
  $("object").value = marked;
  if (marked >= 0) [$("class").value, $("shown-in").value] = [labels[marked].class, labels[marked].shown_in];
  $("remove").disabled = !free || marked < 0;
  $("undo").disabled = $("save").disabled = !free || !changed;
  draw();
}

function mark(k) {
  marked = k;
  update();
}

function place_of(event) {
  const area = $("stage").getBoundingClientRect();
  const share = (value, low, length) => Math.min(1, Math.max(0, (value - low) / length));
  return [share(event.clientX, area.left, area.width), share(event.clientY, area.top, area.height)];
}

const stage = $("stage");
stage.addEventListener("pointerdown", (event) => {
  if (!pair || event.button) return;
  drag = { from: place_of(event), box: null };
  stage.setPointerCapture(event.pointerId);
});
stage.addEventListener("pointermove", (event) => {
  if (!drag || pair.problem) return;
  const [[a, b], [x, y]] = [drag.from, place_of(event)];
  drag.box = { x1: Math.min(a, x), y1: Math.min(b, y), x2: Math.max(a, x), y2: Math.max(b, y) };
  draw();
});
stage.addEventListener("pointerup", () => {
  if (!drag) return;
  const { from, box } = drag;
  drag = null;
  const least = 3 / Math.max(1, stage.clientWidth);
  if (box && box.x2 - box.x1 > least && box.y2 - box.y1 > least) {
    labels.push({ class: Number($("class").value), box, shown_in: $("shown-in").value });
    changed = true;
    mark(labels.length - 1);
  } else {
    const inside = labels.map(({ box: one }, k) => [(one.x2 - one.x1) * (one.y2 - one.y1), k, one]);
    const hits = inside.filter(([, , one]) => from[0] >= one.x1 && from[0] <= one.x2 && from[1] >= one.y1 && from[1] <= one.y2);
    mark(hits.sort((a, b) => a[0] - b[0])[0]?.[1] ?? -1);
  }
});
stage.addEventListener("pointercancel", () => (drag = null));
stage.addEventListener("keydown", (event) => {
  if (event.key === "Delete" && !$("remove").disabled) $("remove").click();
});

$("object").addEventListener("change", () => mark(Number($("object").value)));
for (const [id, set] of [["class", (one, value) => (one.class = Number(value))], ["shown-in", (one, value) => (one.shown_in = value)]]) {
  $(id).addEventListener("change", () => {
    if (marked < 0 || pair.problem) return;
    set(labels[marked], $(id).value);
    changed = true;
    update();
  });
}
$("remove").addEventListener("click", () => {
  labels.splice(marked, 1);
  changed = true;
  mark(-1);
});
$("undo").addEventListener("click", () => take(chosen, pair));
$("save").addEventListener("click", async () => {
  problem("");
  $("save").disabled = true;
  try {
    const body = JSON.stringify({ stamp: pair.stamp, labels });
    const options = { method: "PUT", body, headers: { "Content-Type": "application/json" } };
    await take(chosen, await askJson(`/pairs/${chosen}/labels`, options));
    $("hint").textContent = "Saved.";
    await load();
  } catch (error) {
    problem(error.message);
    update();
  }
});
function step(by) {
  const some = matching().map((one) => one.number);
  const to = some[some.indexOf(chosen) + by] ?? some[by > 0 ? 0 : some.length - 1];
  if (to !== undefined) show(to);
}
$("before").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("review").addEventListener("click", async () => {
  try {
    await askJson(`/pairs/review?part=${encodeURIComponent($("part").value)}`, { method: "POST" });
    await load();
  } catch (error) {
    problem(error.message);
  }
});
for (const id of ["part", "kind", "size", "camera", "light", "show", "weight"]) $(id).addEventListener("change", list);
for (const id of ["view", "found"]) $(id).addEventListener("input", draw);
$("views").addEventListener("click", (event) => {
  const at = views.indexOf(event.target.dataset.view);
  if (at < 0) return;
  $("view").value = at;
  draw();
});
window.addEventListener("resize", draw);
window.addEventListener("beforeunload", (event) => changed && event.preventDefault());
$("hint").dataset.text = $("hint").textContent;
document.addEventListener("ready", () => {
  if (!ready || !now) return;
  list();
  if (chosen >= 0 && !changed) show(chosen);
});
load();
