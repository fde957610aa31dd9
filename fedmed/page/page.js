// What the page does in the browser: draws heat maps, shows tips, sorts the table.
// Everything is drawn from what is already on the page; asking.js asks for more.
window.fedmed = (() => {
  const SIDE = 196;
  const TOWARDS = { normal: [64, 170, 240], pneumonia: [255, 140, 40] };
  const view = { model: "federated", strength: 60, on: true };

  // ---- heat maps -------------------------------------------------------------------------

  function cubic(a, b, c, d, t) {
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
  }

  // Catmull-Rom between the centres of a map's cells, 7 x 7 or fewer, flat beyond the outer ones.
  function smooth(values, length, position) {
    const at = (i) => values[Math.min(Math.max(i, 0), length - 1)];
    const place = Math.floor(position);
    return cubic(at(place - 1), at(place), at(place + 1), at(place + 2), position - place);
  }

  function enlarge(map, side) {
    const cells = map.length;
    const centre = (i) => Math.min(Math.max(((i + 0.5) * cells) / side - 0.5, 0), cells - 1);
    const rows = map.map((row) => Array.from({ length: side }, (_, x) => smooth(row, cells, centre(x))));
    const out = new Float32Array(side * side);
    for (let x = 0; x < side; x++) {
      const column = rows.map((row) => row[x]);
      for (let y = 0; y < side; y++) out[y * side + x] = smooth(column, cells, centre(y));
    }
    return out;
  }

  // One scale for all models of an X-ray, so that a faint map means little evidence.
  function scaleOf(evidence) {
    const sizes = Object.values(evidence).flat(2).map(Math.abs).sort((a, b) => a - b);
    return sizes[Math.floor(0.97 * (sizes.length - 1))] || 1;
  }

  function draw(answer) {
    const evidence = JSON.parse(answer.dataset.evidence);
    if (!Object.hasOwn(evidence, view.model)) [view.model] = Object.keys(evidence);
    const canvas = answer.querySelector("canvas");
    canvas.width = canvas.height = SIDE;
    const context = canvas.getContext("2d");
    const image = context.createImageData(SIDE, SIDE);
    const values = enlarge(evidence[view.model], SIDE);
    const scale = scaleOf(evidence);
    values.forEach((value, i) => {
      const share = Math.min(Math.abs(value) / scale, 1);
      image.data.set(value > 0 ? TOWARDS.pneumonia : TOWARDS.normal, 4 * i);
      image.data[4 * i + 3] = 255 * Math.pow(share, 0.8);
    });
    context.putImageData(image, 0, 0);
    canvas.dataset.model = view.model;
    canvas.style.opacity = view.on ? view.strength / 100 : 0;
    answer.classList.toggle("fm-map-off", !view.on);
    answer.querySelector(".fm-map-on").checked = view.on;
    answer.querySelectorAll(".fm-model").forEach((model) => {
      const chosen = model.dataset.model === view.model;
      model.classList.toggle("fm-chosen", chosen);
      model.querySelector(".fm-pick").setAttribute("aria-pressed", chosen);
    });
    answer.querySelector(".fm-map-model").value = view.model;
    answer.querySelector(".fm-map-strength").value = view.strength;
  }

  const mapOf = (answer) => JSON.parse(answer.dataset.evidence)[view.model];

  // `x` and `y` are shares of the film's width and height.
  function readOut(film, x, y) {
    const map = mapOf(film.closest(".fm-answer")), cells = map.length;
    const cell = (share) => Math.min(Math.max(share * cells - 0.5, 0), cells - 1);
    const value = smooth(map.map((row) => smooth(row, cells, cell(x))), cells, cell(y));
    const side = value > 0 ? "towards PNEUMONIA" : "towards NORMAL";
    return `${Math.abs(value).toFixed(1)} ${side}, in log-odds`;
  }

  function readable(answer) {
    const film = answer.querySelector(".fm-light canvas"), said = answer.querySelector(".fm-readout");
    const middle = Math.floor((mapOf(answer).length - 1) / 2);
    let column = middle, row = middle; // of the grid, where the arrow keys have gone
    film.addEventListener("pointermove", (event) => {
      const box = film.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
      said.setAttribute("aria-live", "off"); // a pointer moves too often to be read out
      said.textContent = `Here: ${readOut(film, x, y)}`;
    });
    film.addEventListener("keydown", (event) => {
      const [right, down] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [0, 0];
      if (!right && !down) return;
      event.preventDefault();
      const cells = mapOf(answer).length;
      column = Math.min(Math.max(column + right, 0), cells - 1);
      row = Math.min(Math.max(row + down, 0), cells - 1);
      said.setAttribute("aria-live", "polite");
      said.textContent = `Column ${column + 1}, row ${row + 1} of ${cells}: ` +
        readOut(film, (column + 0.5) / cells, (row + 0.5) / cells);
    });
    for (const gone of ["pointerleave", "blur"]) film.addEventListener(gone, () => (said.textContent = ""));
  }

  // A reply has come onto the page.
  function drawn(reply) {
    const answer = reply.querySelector(".fm-answer[data-evidence]");
    if (!answer) return;
    follow(answer);
    draw(answer);
    readable(answer);
  }

  // `model`: whose heat map; "off" for none.
  function choose(model) {
    view.on = model !== "off";
    if (view.on) view.model = model;
    for (const answer of document.querySelectorAll(".fm-answer[data-evidence]")) draw(answer);
    window.fedmed.remember({ map: model === "federated" ? null : model }, { step: false });
  }

  // ---- tips ------------------------------------------------------------------------------

  const tip = document.createElement("div");
  tip.className = "fm-tip";
  tip.setAttribute("role", "tooltip");

  function showTip(target, x, y) {
    if (!tip.isConnected) document.body.append(tip);
    tip.textContent = target.dataset.tip;
    tip.classList.add("fm-on");
    const width = tip.offsetWidth, edge = document.documentElement.clientWidth - 8;
    tip.style.left = `${Math.max(8, Math.min(x - width / 2, edge - width))}px`;
    tip.style.top = `${y - tip.offsetHeight - 14 < 8 ? y + 18 : y - tip.offsetHeight - 14}px`;
  }

  function lightUp(report, model) {
    report.classList.toggle("fm-lit", Boolean(model));
    report.querySelectorAll("[data-model]").forEach((mark) =>
      mark.classList.toggle("fm-on", mark.dataset.model === model));
  }

  document.addEventListener("pointermove", (event) => {
    const target = event.target.closest?.("[data-tip]");
    if (target) showTip(target, event.clientX, event.clientY);
    else tip.classList.remove("fm-on");
    const report = event.target.closest?.(".fm-report");
    if (report) lightUp(report, event.target.closest("[data-model]")?.dataset.model);
  });
  // By keyboard: what has the focus, or the first thing in its card that has a tip.
  document.addEventListener("focusin", (event) => {
    const at = event.target, card = at.closest?.(".fm-model");
    const target = at.matches?.("[data-tip]") ? at : card?.querySelector("[data-tip]");
    if (!target || !at.matches(":focus-visible")) return tip.classList.remove("fm-on");
    const box = target.getBoundingClientRect();
    showTip(target, box.left + box.width / 2, box.top);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tip.classList.remove("fm-on");
  });
  document.addEventListener("scroll", () => tip.classList.remove("fm-on"), true);

  // ---- the report ------------------------------------------------------------------------

  function sort(header) {
    const table = header.closest("table"), body = table.tBodies[0];
    const rising = header.getAttribute("aria-sort") === "descending";
    table.querySelectorAll("th[aria-sort]").forEach((other) => other.setAttribute("aria-sort", "none"));
    header.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const key = (row) => Number(row.cells[header.cellIndex].dataset.value);
    [...body.rows].sort((a, b) => (rising ? key(a) - key(b) : key(b) - key(a)))
      .forEach((row) => body.append(row));
  }

  function switchTo(button) {
    const group = button.closest("[data-switch]");
    group.querySelectorAll("button").forEach((other) =>
      other.setAttribute("aria-pressed", other === button));
    button.closest(".fm-report").dataset[group.dataset.switch] = button.dataset.to;
    document.querySelectorAll(".fm-answer[data-protocol]").forEach(follow);
  }

  // Answers tell how models did on the X-rays that the Report tab shows.
  function follow(answer) {
    answer.dataset.protocol = document.querySelector(".fm-report")?.dataset.protocol ?? "test";
  }

  // ---- clicks ---------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    const on = (selector) => event.target.closest?.(selector);
    if (on(".fm-model")) choose(on(".fm-model").dataset.model);
    else if (on("[data-switch] button")) switchTo(on("[data-switch] button"));
    else if (on("th[aria-sort]")) sort(on("th[aria-sort]"));
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches?.(".fm-map-model")) choose(event.target.value);
    else if (event.target.matches?.(".fm-map-on")) choose(event.target.checked ? view.model : "off");
  });
  document.addEventListener("input", (event) => {
    if (!event.target.matches?.(".fm-map-strength")) return;
    view.strength = Number(event.target.value);
    choose(view.model);
  });

  return { drawn, choose };
})();
