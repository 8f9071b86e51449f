"use strict";

// The page asks the server once a pair; views, threshold and classes are changed here, without asking again.
const VIEWS = [...document.querySelectorAll("#views button")].map((button) => button.dataset.view);
const LOWEST = document.body.dataset.lowest;
const INFRARED = /(^|[^a-z])(ir|infrared|thermal|therm|lwir|mwir|nir|heat|t)([^a-z]|$)|flir|\.npy$/i;
const files = { visible: null, infrared: null };
let answer = null; // the last one, with its images decoded in `pictures`
let pictures = {};
let views = []; // those that there are
let marked = -1; // row under the pointer
let hidden = new Set(); // numbers of classes that are switched off
let asked = 0;
let seed = 0;

document.addEventListener("ready", () => {
  $("scene").disabled = !ready;
  if (ready && files.visible && files.infrared && !answer) detect();
});

// Files -----------------------------------------------------------------------------------------------------------
function slot(camera) {
  return document.querySelector(`.slot[data-camera="${camera}"]`);
}

function take(camera, file) {
  files[camera] = file;
  slot(camera).querySelector(".file").textContent = file ? file.name : "drop or choose it, or both at once";
  thumbnail(camera, null);
  $("swap").disabled = !(files.visible || files.infrared);
}

function thumbnail(camera, source) {
  const image = slot(camera).querySelector("img");
  image.hidden = !source;
  if (source) image.src = source;
}

function takeAll(list, camera) {
  const some = [...list].slice(0, 2);
  if (some.length === 1) {
    const other = files.visible && !files.infrared ? "infrared" : "visible";
    take(camera || (INFRARED.test(some[0].name) ? "infrared" : other), some[0]);
  } else if (some.length === 2) {
    if (INFRARED.test(some[0].name) && !INFRARED.test(some[1].name)) some.reverse();
    take("visible", some[0]);
    take("infrared", some[1]);
  }
  submit();
}

function submit() {
  answer = null;
  problem("");
  if (!files.visible || !files.infrared) return;
  if (ready) detect();
  else $("busy").textContent = "will be shown as soon as the model is loaded";
}

document.querySelectorAll(".slot").forEach((box) => {
  const input = box.querySelector("input");
  input.addEventListener("change", () => {
    takeAll(input.files, box.dataset.camera);
    input.value = "";
  });
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    const box = event.target.closest?.(".slot");
    document.querySelectorAll(".slot").forEach((one) => one.classList.toggle("over", kind === "dragover" && one === box));
    if (kind === "drop" && event.dataTransfer.files.length) takeAll(event.dataTransfer.files, box?.dataset.camera);
  });
}
$("swap").addEventListener("click", () => {
  const { visible, infrared } = files;
  take("visible", infrared);
  take("infrared", visible);
  submit();
});
$("scene").addEventListener("click", () => {
  take("visible", null);
  take("infrared", null);
  seed += 1;
  const form = new FormData();
  form.append("seed", seed);
  send("/scene", form);
});

// Asking ----------------------------------------------------------------------------------------------------------
function detect() {
  const form = new FormData();
  form.append("visible", files.visible);
  form.append("infrared", files.infrared);
  form.append("format", "jpeg");
  send("/detect", form);
}

async function send(path, form) {
  const number = ++asked;
  form.append("conf", LOWEST);
  form.append("images", VIEWS.join());
  problem("");
  $("busy").textContent = "detecting …";
  $("scene").disabled = true;
  const started = performance.now();
  try {
    const response = await ask(path, { method: "POST", body: form });
    const content = await response.json();
    if (number !== asked) return; // another pair has been chosen since
    if (!response.ok) problem(content.error);
    else await show(content, performance.now() - started);
  } catch {
    if (number === asked) problem("the server did not answer; see where it was started");
  } finally {
    if (number === asked) {
      $("busy").textContent = "";
      $("scene").disabled = !ready;
    }
  }
}

async function show(content, milliseconds) {
  const decoded = {};
  for (const [view, data] of Object.entries(content.images)) {
    decoded[view] = new Image();
    decoded[view].src = `data:image/jpeg;base64,${data}`;
    await decoded[view].decode();
  }
  const before = views.length ? views[Math.round($("view").value)] : null;
  [answer, pictures, views, marked] = [content, decoded, VIEWS.filter((view) => decoded[view]), -1];
  $("view").max = views.length - 1;
  const first = views.includes(before) ? before : views.includes("fused") ? "fused" : views[0];
  $("view").value = views.indexOf(first);
  document.querySelectorAll("#views button").forEach((button) => (button.hidden = !views.includes(button.dataset.view)));
  for (const camera of ["visible", "infrared"]) thumbnail(camera, decoded[camera].src);
  if (!files.visible) {
    for (const camera of ["visible", "infrared"]) slot(camera).querySelector(".file").textContent = `synthetic scene ${seed}`;
  }
  $("share").textContent = content.infrared_weight === null ? "–" : percent(content.infrared_weight);
  $("time").textContent = milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
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
  const some = shown();
  $("score").textContent = Number($("conf").value).toFixed(2);
  $("count").textContent = some.length;
  $("none").hidden = some.length > 0;
  $("rows").replaceChildren(
    ...some.map((one, i) => {
      const row = document.createElement("tr");
      const swatch = document.createElement("i");
      swatch.style.background = colour(one.class);
      const share = one.infrared_weight === null ? "–" : percent(one.infrared_weight);
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
  const text = (one) => `${one.name} ${one.confidence.toFixed(2)}`;
  drawBoxes(drawn, shown().map((one) => ({ box: one.box, text: text(one), colour: colour(one.class) })), marked);
}

$("conf").addEventListener("input", update);
$("view").addEventListener("input", draw);
$("boxes").addEventListener("change", draw);
window.addEventListener("resize", draw);
$("views").addEventListener("click", (event) => {
  const place = views.indexOf(event.target.dataset.view);
  if (place < 0) return;
  $("view").value = place;
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
