/* SPDX-License-Identifier: GPL-2.0-only */
/* Chooses rows and metrics, searches, compares two kernels.  Every page is whole without it. */
"use strict";
const up = document.currentScript.dataset.up;
const CHOICES = ["revision", "arm", "patched", "metric", "word", "verdict", "method", "clock"];

function make(tag, text, more = {}) {
  const node = Object.assign(document.createElement(tag), more);
  if (text) node.textContent = text;
  return node;
}

function labelled(text, field) {
  const label = make("label", text + " ");
  label.append(field);
  return label;
}

async function load(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(path);
  return answer.json();
}

function percent(value) {
  return value === null ? "-" : (value > 0 ? "+" : "") + value.toFixed(Math.abs(value) < 0.1 ? 3 : 2);
}

/* Selects above a table: what is chosen decides which rows are shown. */
function choices(box) {
  const table = box.querySelector("table");
  if (!table || table.tBodies[0].rows.length < 2) return;
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const parts = heads.flatMap((name, place) => {
    const read = (row) => row.cells[place] ? row.cells[place].textContent : "";
    if (name === "cell") {
      return [["back-end", (row) => read(row).split(".")[0]],
              ["workload", (row) => read(row).split(".").slice(1).join(".")]];
    }
    return CHOICES.includes(name) ? [[name, read]] : [];
  });
  const rows = [...table.tBodies[0].rows];
  const chosen = [];
  const show = () => {
    for (const row of rows) row.hidden = chosen.some(([field, read]) => field.value && read(row) !== field.value);
  };
  const bar = make("div");
  for (const [name, read] of parts) {
    const values = [...new Set(rows.map(read))].sort();
    if (values.length < 2) continue;
    const field = make("select");
    field.append(new Option("all", ""), ...values.map((value) => new Option(value, value)));
    field.addEventListener("change", show);
    chosen.push([field, read]);
    bar.append(labelled(name, field));
  }
  box.prepend(bar);
}

/* A cell's page shows its primary metric; the others are in the JSON beside it. */
async function metrics(section) {
  const data = await load(section.dataset.metrics);
  const shown = new Set([...section.querySelectorAll(".choose td:nth-child(3)")].map((cell) => cell.textContent));
  const names = [...new Set(data.rows.map((row) => row[1]))].filter((name) => !shown.has(name));
  if (!names.length) return;
  const field = make("select");
  field.append(new Option("none: the primary one", ""), ...names.map((name) => new Option(name, name)));
  const old = section.querySelector(".choose");
  const region = make("div", "", {className: "scroll", tabIndex: 0});
  region.setAttribute("role", "region");
  region.hidden = true;
  field.addEventListener("change", () => {
    old.hidden = field.value !== "";
    region.hidden = !old.hidden;
    region.setAttribute("aria-label", field.value);
    const rows = data.rows.filter((row) => row[1] === field.value);
    region.replaceChildren(tableOf(
      ["comparison", "unit", "better", "base", "patched", "change", "95 % interval", "n"],
      rows.map((row) => [[row[0], up + "comparison/" + row[0] + "/"], row[2], row[3], number(row[5]),
        number(row[6]), percent(row[7]) + "%",
        row[8] === null ? "-" : "[" + percent(row[8]) + ", " + percent(row[9]) + "]", row[4]])));
  });
  old.before(labelled("other metrics", field));
  old.after(region);
}

function number(value) {
  return value === null ? "-" : String(+value.toPrecision(6));
}

function tableOf(heads, rows) {
  const table = make("table"), head = table.createTHead().insertRow(), body = table.createTBody();
  for (const name of heads) head.append(make("th", name, {scope: "col"}));
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((cell, place) => {
      const node = make(place ? "td" : "th");
      if (!place) node.scope = "row";
      if (Array.isArray(cell)) node.append(make("a", cell[0], {href: cell[1]}));
      else node.textContent = cell;
      line.append(node);
    });
  }
  return table;
}

function search(box) {
  const field = make("input", "", {type: "search"});
  const found = make("ul");
  found.setAttribute("aria-live", "polite");
  box.append(labelled("Search", field), found);
  let index = null;
  field.addEventListener("input", async () => {
    index = index || load(up + "search.json");
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const entries = words.length ? await index : [];
    const hits = [];
    for (const entry of entries) {
      const text = (entry[0] + " " + entry[2]).toLowerCase();
      if (words.every((word) => text.includes(word)) && hits.push(entry) === 20) break;
    }
    const items = hits.map(([title, path, what]) => {
      const item = make("li");
      item.append(make("a", title, {href: up + path}), " " + what);
      return item;
    });
    found.replaceChildren(...(items.length || !words.length ? items : [make("li", "nothing found")]));
  });
}

/* Any two kernels: side by side in each cell that both ran by the same method. */
async function two(box) {
  const all = (await load(up + "kernels.json")).map(([key, label, tree]) => [label + ", tree " + tree + ", " + key, key]);
  const keys = new Map(all);
  const answer = make("div");
  answer.setAttribute("aria-live", "polite");
  const parts = [];
  const fields = ["A", "B"].map((name) => {
    const field = make("input"), list = make("datalist", "", {id: "kernels-" + name});
    field.setAttribute("list", list.id);
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/);
      const hits = all.filter(([text]) => words.every((word) => text.toLowerCase().includes(word)));
      list.replaceChildren(...hits.slice(0, 20).map(([text]) => new Option(text)));
      compare();
    });
    parts.push(labelled("Kernel " + name + ": version, series or tree", field), list);
    return field;
  });
  async function compare() {
    const chosen = fields.map((field) => keys.get(field.value));
    if (chosen.some((key) => !key)) return;
    const [a, b] = await Promise.all(chosen.map((key) => load(up + "kernel/" + key + ".json")));
    const methods = await load(up + "methods.json");
    const rows = [], unlike = new Map();
    for (const one of a.rows) {
      if (b.rows.some((row) => row[1] === one[1] && row[0] !== one[0])) {
        unlike.set(one[1], "its settings, or the guest's clock, disk, memory, swap or CPUs, differ");
      }
      for (const other of b.rows.filter((row) => row[0] === one[0] && row[4] === one[4])) {
        const same = one[10] === other[10];
        if (one[2] === other[2] && (one[3] !== "wall" || same)) {
          rows.push([[one[1], up + "cell/" + one[0] + "/"], one[4], one[5], number(one[7]), number(other[7]),
            one[7] ? percent(100 * (other[7] / one[7] - 1)) + "%" : "-",
            percent(one[8]).replace("+", "") + " / " + percent(other[8]).replace("+", ""), one[2]]);
        } else {
          const [p, q] = [methods[one[2]], methods[other[2]]];
          const keys = Object.keys(p).filter((key) => JSON.stringify(p[key]) !== JSON.stringify(q[key]));
          unlike.set(one[1], keys.length ? "method differs in " + keys.join(", ") : "wall time of different hours");
        }
      }
    }
    for (const row of rows) unlike.delete(row[0][0]);
    const said = rows.length
      ? "Medians of boots of both, no test. make diff A= B= tests two comparisons pair by pair."
      : "These two were not measured with the same method in any cell.";
    answer.replaceChildren(make("p", said));
    if (rows.length) {
      const region = make("div", "", {className: "scroll", tabIndex: 0});
      region.setAttribute("role", "region");
      region.setAttribute("aria-label", "A and B");
      region.append(tableOf(["cell", "metric", "unit", "A", "B", "B against A", "CV of A / B, %", "method"], rows));
      answer.append(region);
    }
    for (const [cell, why] of unlike) answer.append(make("p", cell + ": not compared, " + why + "."));
  }
  box.replaceChildren(...parts, answer);
}

if (location.protocol !== "file:") {
  search(document.getElementById("search"));
  const box = document.getElementById("two");
  if (box) two(box);
  for (const section of document.querySelectorAll("[data-metrics]")) metrics(section);
}
document.querySelectorAll(".choose").forEach(choices);
