"use strict";

// The page asks the server once a pair; views, threshold and classes are changed here, without asking again.
const VIEWS = [...document.querySelectorAll("#views button")].map((button) => button.dataset.view);
const LOWEST = document.body.dataset.lowest;
const NONE = "drop or choose it, or both at once";
const chosen = { visible: [], infrared: [] }; // files of each camera
let files = { visible: null, infrared: null }; // the pair that is shown
let series = null; // {count, at, name}: pairs of two folders or videos
let spot = 0;
let playing = false;
let answer = null; // the last one, with its images decoded in `pictures`
let pictures = {};
let views = []; // those that there are
let liked = null; // the one that was chosen
let early = false; // whether it is shown without detections, for the model is not loaded yet
let marked = -1; // row under the pointer
let hidden = new Set(); // numbers of classes that are switched off
let asked = 0;
let seed = 0;

document.addEventListener("ready", () => {
  if (!ready || !early) return;
  early = false;
  if (seed && !files.visible) scene();
  else if (files.visible && files.infrared) detect();
});

// Files -----------------------------------------------------------------------------------------------------------
const slot = (camera) => document.querySelector(`.slot[data-camera="${camera}"]`);

function take(camera, some) {
  chosen[camera] = some;
  const text = some.length > 1 ? `${some.length} files` : some.length ? some[0].name : NONE;
  slot(camera).querySelector(".file").textContent = text;
  thumbnail(camera, null);
  $("swap").disabled = !(chosen.visible.length || chosen.infrared.length);
}

function thumbnail(camera, source) {
  const image = slot(camera).querySelector("img");
  image.hidden = !source;
  if (source) image.src = source;
}

function takeAll(some, camera) {
  const infrared = some.filter((file) => INFRARED.test(pathOf(file)));
  const visible = some.filter((file) => !infrared.includes(file));
  if (some.length === 2 && !(infrared.length && visible.length)) {
    take("visible", some.slice(0, 1));
    take("infrared", some.slice(1));
  } else if (infrared.length && visible.length) {
    take("visible", visible);
    take("infrared", infrared);
  } else if (some.length) {
    const other = chosen.visible.length && !chosen.infrared.length ? "infrared" : "visible";
    take(camera || (infrared.length ? "infrared" : other), some);
  }
  submit();
}

async function submit() {
  [answer, series, early, playing] = [null, null, false, false];
  files = { visible: null, infrared: null };
  problem("");
  $("walk").hidden = true;
  const { visible, infrared } = chosen;
  if (!visible.length || !infrared.length) return;
  try {
    series = isVideo(visible[0]) ? await ofVideos(visible[0], infrared[0]) : ofImages(visible, infrared);
    $("walk").hidden = series.count < 2;
    $("place").max = series.count - 1;
    await go(0);
  } catch (error) {
    problem(error.message);
  }
}

async function go(i) {
  const of = series;
  spot = i;
  $("place").value = i;
  $("where").textContent = of.count > 1 ? of.name(i) : "";
  const [visible, infrared] = await of.at(i);
  if (of !== series || i !== spot) return;
  files = { visible, infrared };
  if (ready) return detect();
  await preview();
}

async function preview() {
  // what the browser can draw itself, until the model is loaded
  [early, $("busy").textContent] = [true, "the model is being loaded …"];
  const images = {};
  for (const camera of ["visible", "infrared"]) {
    const image = new Image();
    image.src = URL.createObjectURL(files[camera]);
    if (await image.decode().then(() => true, () => false)) images[camera] = image;
  }
  const { visible } = images;
  if (visible && early) show({ width: visible.naturalWidth, height: visible.naturalHeight, infrared_weight: null, detections: [] }, images, null);
}

$("place").addEventListener("input", () => go(Number($("place").value)));
$("before").addEventListener("click", () => go((spot + series.count - 1) % series.count));
$("next").addEventListener("click", () => go((spot + 1) % series.count));
$("play").addEventListener("click", async () => {
  playing = !playing;
  $("play").setAttribute("aria-pressed", playing);
  while (playing && spot + 1 < series.count) await Promise.all([go(spot + 1), sleep(1000 * STEP)]);
  playing = false;
  $("play").setAttribute("aria-pressed", false);
});

document.querySelectorAll(".slot").forEach((box) => {
  const input = box.querySelector("input");
  input.addEventListener("change", () => {
    takeAll([...input.files], box.dataset.camera);
    input.value = "";
  });
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, async (event) => {
    event.preventDefault();
    const box = event.target.closest?.(".slot");
    document.querySelectorAll(".slot").forEach((one) => one.classList.toggle("over", kind === "dragover" && one === box));
    if (kind === "drop") takeAll(await dropped(event.dataTransfer), box?.dataset.camera);
  });
}

$("swap").addEventListener("click", () => {
  const { visible, infrared } = chosen;
  take("visible", infrared);
  take("infrared", visible);
  submit();
});
function scene() {
  const form = new FormData();
  form.append("seed", seed);
  return send("/scene", form);
}
$("scene").addEventListener("click", () => {
  take("visible", []);
  take("infrared", []);
  submit();
  seed += 1;
  early = !ready;
  scene();
});

// Asking ----------------------------------------------------------------------------------------------------------
function detect() {
  const form = new FormData();
  form.append("visible", files.visible);
  form.append("infrared", files.infrared);
  form.append("format", "jpeg");
  return send("/detect", form);
}

async function send(path, form) {
  const number = ++asked;
  form.append("conf", LOWEST);
  form.append("images", VIEWS.join());
  problem("");
  $("busy").textContent = early ? "the model is being loaded …" : "detecting …";
  const started = performance.now();
  try {
    const response = await ask(path, { method: "POST", body: form });
    const content = await response.json();
    if (number !== asked) return; // another pair has been chosen since
    if (!response.ok) problem(content.error);
    else await show(content, await decoded(content.images), performance.now() - started);
  } catch {
    if (number === asked) problem("the server did not answer; see where it was started");
  } finally {
    if (number === asked && !early) $("busy").textContent = "";
  }
}

async function decoded(images) {
  const found = {};
  for (const [view, data] of Object.entries(images)) {
    found[view] = new Image();
    found[view].src = `data:image/jpeg;base64,${data}`;
    await found[view].decode();
  }
  return found;
}

function show(content, images, milliseconds) {
  [answer, pictures, views, marked] = [content, images, VIEWS.filter((view) => images[view]), -1];
  $("view").max = views.length - 1;
  const first = views.includes(liked) ? liked : views.includes("fused") ? "fused" : views[0];
  $("view").value = views.indexOf(first);
  document.querySelectorAll("#views button").forEach((button) => (button.hidden = !views.includes(button.dataset.view)));
  for (const camera of ["visible", "infrared"]) thumbnail(camera, images[camera]?.src);
  if (!files.visible) {
    for (const camera of ["visible", "infrared"]) slot(camera).querySelector(".file").textContent = `synthetic scene ${seed}`;
  }
  $("share").textContent = content.infrared_weight === null ? "–" : percent(content.infrared_weight);
  $("time").textContent = milliseconds === null || early ? "–" : milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
  $("note").textContent = content.note ? `Infrared: ${content.note}` : "";
  $("note").hidden = !content.note;
  $("result").hidden = false;
  listClasses();
  update();
}

// Looking ---------------------------------------------------------------------------------------------------------
function listClasses() {
  const found = new Map(answer.detections.map((one) => [one.class, one.name]));
  $("classes").replaceChildren(
    ...[...found].sort((a, b) => a[0] - b[0]).map(([number, name]) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = !hidden.has(number);
      box.addEventListener("change", () => {
        if (box.checked) hidden.delete(number);
        else hidden.add(number);
        update();
      });
      label.append(box, name);
      return label;
    }),
  );
}

function shown() {
  const least = Number($("conf").value);
  return answer.detections.filter((one) => one.confidence >= least && !hidden.has(one.class));
}

function update() {
  const some = answer.classes?.length ? answer.classes : shown(); // of a classifier those of the whole pair
  $("score").textContent = Number($("conf").value).toFixed(2);
  $("count").textContent = some.length;
  $("none").hidden = some.length > 0 || early;
  $("rows").replaceChildren(
    ...some.map((one, i) => {
      const row = document.createElement("tr");
      const swatch = document.createElement("i");
      swatch.style.background = colour(one.class);
      const share = (one.infrared_weight ?? null) === null ? "–" : percent(one.infrared_weight);
      const cells = [one.name, one.confidence.toFixed(2), share].map((text, column) => {
        const cell = document.createElement("td");
        cell.className = column ? "number" : "";
        cell.append(...(column ? [text] : [swatch, text]));
        return cell;
      });
      row.append(...cells);
      row.addEventListener("pointerenter", () => mark(i));
      row.addEventListener("pointerleave", () => mark(-1));
      return row;
    }),
  );
  $("rows").closest(".scroll").hidden = !some.length;
  draw();
}

function mark(i) {
  marked = i;
  draw();
}

function draw() {
  if (!answer) return;
  const at = Number($("view").value);
  const drawn = paint($("stage"), answer, views.map((view) => pictures[view]), at);
  const near = views[Math.round(at)];
  document.querySelectorAll("#views button").forEach((one) => one.setAttribute("aria-pressed", one.dataset.view === near));
  $("view").setAttribute("aria-valuetext", near);
  $("scale").hidden = near !== "weights";
  if (!$("boxes").checked) return;
  const heat = ({ max, unit }) => ` ${max.toFixed(1)} ${unit === "kelvin" ? "K" : "\u00b0C"}`;
  const text = (one) => `${one.name} ${one.confidence.toFixed(2)}${one.temperature ? heat(one.temperature) : ""}`;
  drawBoxes(drawn, shown().map((one) => ({ ...one, text: text(one), colour: colour(one.class) })), marked);
}

$("conf").addEventListener("input", update);
$("view").addEventListener("input", () => {
  liked = views[Math.round($("view").value)];
  draw();
});
$("boxes").addEventListener("change", draw);
window.addEventListener("resize", draw);
$("views").addEventListener("click", (event) => {
  const at = views.indexOf(event.target.dataset.view);
  if (at < 0) return;
  [$("view").value, liked] = [at, event.target.dataset.view];
  draw();
});
$("save").addEventListener("click", () => {
  $("stage").toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    const stem = files.visible ? files.visible.name.replace(/\.\w+$/, "") : `scene-${seed}`;
    link.download = `${stem}-${views[Math.round($("view").value)]}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
});
