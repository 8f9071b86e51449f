"use strict";

// The reports below the opened folder, best first; a click on a head sorts, one on a name shows what is inside.
let tables = [];
const order = new Map(); // by kind: column and direction

const value = (cell, column) =>
  cell === null ? "–" : typeof cell === "number" ? cell.toFixed(column.digits) : cell || "–";

function sorted(table) {
  const dataset = table.columns.findIndex((column) => column.name === "data");
  const wanted = $("data").value;
  const rows = table.rows.filter((row) => !wanted || row.cells[dataset] === wanted);
  const given = order.get(table.kind);
  if (!given) return rows; // best first, as the server has them
  const of = (row) => (given.column < 0 ? row.run : row.cells[given.column]);
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const known = rows.filter((row) => of(row) !== null).sort((a, b) => given.sign * compare(of(a), of(b)));
  return [...known, ...rows.filter((row) => of(row) === null)];
}

const numeric = (table, i) => (table.rows.some((row) => typeof row.cells[i] === "number") ? "number" : "");

// a path, which may go on in a new line behind a slash or a hyphen
const broken = (run) => (run === "." ? ["here"] : run.split(/(?<=[/-])/).flatMap((part) => [part, element("wbr", "")]));

function head(table, column, i) {
  const cell = element("th", numeric(table, i));
  cell.scope = "col";
  const button = element("button", "sort", i < 0 ? "run" : column.name);
  const first = table.columns.findIndex((one) => one.best);
  const now = order.get(table.kind) ?? { column: first, sign: table.columns[first].best === "high" ? -1 : 1 };
  if (now.column === i) cell.setAttribute("aria-sort", now.sign > 0 ? "ascending" : "descending");
  button.addEventListener("click", () => {
    const sign = now.column === i ? -now.sign : i >= 0 && column.best === "high" ? -1 : 1;
    order.set(table.kind, { column: i, sign });
    show(table.kind, i);
  });
  cell.append(button);
  return cell;
}

function best(table, rows, i) {
  const numbers = rows.map((row) => row.cells[i]).filter((cell) => typeof cell === "number");
  return numbers.length < 2 ? null : Math[table.columns[i].best === "high" ? "max" : "min"](...numbers);
}

function drawn(table) {
  const rows = sorted(table);
  const bests = table.columns.map((column, i) => (column.best ? best(table, rows, i) : null));
  const top = element("tr", "", head(table, null, -1), ...table.columns.map((column, i) => head(table, column, i)));
  const lines = rows.map((row) => {
    const name = element("button", "open", ...broken(row.run));
    name.addEventListener("click", () => open(table, row));
    const first = element("th", "run", name);
    first.scope = "row";
    const cells = row.cells.map((cell, i) => {
      const made = element("td", numeric(table, i), value(cell, table.columns[i]));
      if (cell !== null && cell === bests[i]) made.classList.add("best");
      return made;
    });
    return element("tr", "", first, ...cells);
  });
  const scroll = element("div", "scroll", element("table", "index", element("thead", "", top), element("tbody", "", ...lines)));
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", table.kind);
  const title = element("h2", "", table.kind[0].toUpperCase() + table.kind.slice(1), " ", element("span", "soft", rows.length));
  const made = element("section", "", title, scroll);
  made.dataset.kind = table.kind;
  made.hidden = !rows.length;
  return made;
}

function show(kind, column) {
  $("tables").replaceChildren(...tables.map(drawn));
  if (kind) document.querySelectorAll(`[data-kind="${kind}"] thead button`)[column + 1].focus();
}

async function open(table, row) {
  problem("");
  try {
    const response = await ask(`/reports/${row.id}`);
    const content = await response.text();
    if (!response.ok) throw new Error(JSON.parse(content).error);
    $("chosen").textContent = `${row.run === "." ? "here" : row.run}, ${table.kind}`;
    $("inside").innerHTML = content; // made by the server, with all names escaped
    $("inside").querySelectorAll(".scroll").forEach((one, i) => {
      one.tabIndex = 0;
      one.setAttribute("role", "region");
      one.setAttribute("aria-label", `table ${i + 1}`);
    });
    $("inside").querySelectorAll("[data-file]").forEach(async (image) => {
      image.src = await picture(`/reports/${row.id}/${image.dataset.file}`);
      const larger = image.closest("button");
      larger.addEventListener("click", () => larger.setAttribute("aria-pressed", larger.closest("figure").classList.toggle("large")));
    });
    $("inside").querySelectorAll("[data-page]").forEach((link) => {
      link.href = `/reports/${row.id}/${link.dataset.page}`;
      link.target = "_blank";
      link.addEventListener("click", (event) => save(event, link, row));
    });
    $("detail").hidden = false;
    $("chosen").focus();
    $("detail").scrollIntoView();
  } catch (error) {
    problem(error.message);
  }
}

async function save(event, link, row) {
  // a link cannot show the token: then the page is saved, to be opened from there
  if (!sessionStorage.getItem("token")) return;
  event.preventDefault();
  const file = element("a", "");
  file.href = await picture(link.getAttribute("href"));
  file.download = `${row.run.replaceAll("/", "-")}-${link.dataset.page}`;
  file.click();
}

async function load() {
  problem("");
  try {
    const index = await askJson("/reports");
    tables = index.tables;
    const names = new Set(tables.flatMap((table) => {
      const i = table.columns.findIndex((column) => column.name === "data");
      return table.rows.map((row) => row.cells[i]);
    }));
    const before = $("data").value;
    const options = [...names].filter(Boolean).sort().map((name) => new Option(name, name));
    $("data").replaceChildren(new Option("all", ""), ...options);
    if (names.has(before)) $("data").value = before;
    $("folder").textContent = index.folder;
    $("nothing").hidden = tables.length > 0;
    show();
  } catch (error) {
    problem(error.message);
  }
}

$("data").addEventListener("change", () => show());
$("again").addEventListener("click", load);
load();
