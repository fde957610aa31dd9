// Runs of the lab that are kept, up to four: overlaid, in a table, and taken away as files or a link.
fedmedLab.kept = (host, hooks) => {
  const MOST = 4;
  const PLAIN = ["off", "late", "attack", "poison", "poisoned"];
  let runs = [], made = 0;

  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const gains = (summary) => Object.values(summary.gains);

  // What sets a run apart from the defaults, in words.
  function name(settings) {
    const parts = [settings.algorithm];
    for (const [key, value] of Object.entries(settings)) {
      if (key === "algorithm" || value === null || JSON.stringify(value) === JSON.stringify(hooks.defaults[key])) continue;
      if (!PLAIN.includes(key)) parts.push(`${key.replace("_", " ")} ${value}`);
    }
    if (settings.off.length) parts.push(`${settings.off.join(", ")} off`);
    if (settings.late.length) parts.push(`${settings.late.join(", ")} late`);
    if (settings.poison) parts.push(`${settings.poisoned ?? settings.hospitals} poisoned (${settings.poison})`);
    return parts.join(", ");
  }

  function keep(run) {
    const same = runs.find((one) => JSON.stringify(one.settings) === JSON.stringify(run.settings));
    if (same) Object.assign(same, run);
    else runs.push({ ...run, number: ++made });
    runs = runs.slice(-MOST);
    draw();
  }

  function button(text, act, label = text) {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  }

  function draw() {
    host.replaceChildren();
    if (!runs.length) return;
    const table = document.createElement("table");
    table.innerHTML = "<caption class='fm-sr'>Runs kept</caption><thead><tr><th>Run</th><th>Federated</th><th>Optimum</th><th>Central</th><th>Gain, worst to best</th><th>Moved</th><th>Epsilon</th><th>Time</th><th></th></tr></thead><tbody></tbody>";
    runs.forEach((run, place) => {
      const { summary } = run, row = table.tBodies[0].insertRow();
      row.className = `fm-lab-kept-${place}`;
      const points = gains(summary).map((gain) => 100 * gain);
      const cells = [
        `${run.number}  ${name(run.settings)}`,
        percent(summary.federated.balanced_accuracy), percent(summary.optimum.balanced_accuracy), percent(summary.central.balanced_accuracy),
        `${Math.min(...points).toFixed(1)} to ${Math.max(...points).toFixed(1)}`.replaceAll("-", "−"),
        fedmedLab.size(summary.bytes), summary.privacy ? summary.privacy.epsilon.toFixed(1) : "off", `${summary.seconds.toFixed(1)} s`,
      ];
      cells.forEach((text, i) => {
        const cell = document.createElement(i ? "td" : "th");
        if (!i) cell.scope = "row";
        cell.textContent = text;
        row.append(cell);
      });
      const last = row.insertCell();
      last.append(
        button("Show", () => hooks.show(run), `Show run ${run.number}`),
        button("✕", () => { runs = runs.filter((one) => one !== run); draw(); hooks.changed(); }, `Forget run ${run.number}`),
      );
    });
    const scroll = document.createElement("div");
    scroll.className = "fm-scroll";
    scroll.append(table);
    const answers = button("Ask the last run's models about an X-ray", hooks.answer);
    answers.className = "fm-lab-ask";
    const tools = document.createElement("p");
    tools.className = "fm-lab-tools";
    tools.append(
      answers,
      button("Copy link", () => { navigator.clipboard?.writeText(location.href); hooks.announce("The link is copied: it runs the same again."); }),
      button("CSV", () => save("fedmed-lab.csv", "text/csv", csv())),
      button("JSON", () => save("fedmed-lab.json", "application/json", JSON.stringify(runs, null, 1))),
      button("PNG", picture),
    );
    host.append(scroll, tools);
  }

  function csv() {
    const rows = [["run", "name", "round", "model", "auc", "balanced_accuracy", "bytes_up", "bytes_down", "epsilon"]];
    const sum = (bytes) => Object.values(bytes).reduce((a, b) => a + b, 0);
    for (const run of runs) for (const round of run.rounds) for (const [model, scores] of Object.entries(round.models)) {
      rows.push([run.number, `"${name(run.settings).replaceAll('"', '""')}"`, round.round, model, scores.auc, scores.balanced_accuracy,
        sum(round.bytes_up), sum(round.bytes_down), round.epsilon ?? ""]);
    }
    return rows.map((row) => row.join(",")).join("\n") + "\n";
  }

  function save(file, type, content) {
    const link = document.createElement("a");
    link.href = content instanceof Blob ? URL.createObjectURL(content) : URL.createObjectURL(new Blob([content], { type }));
    link.download = file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // The curve as a picture: its styles are written into a copy, for a picture has no style sheet.
  function picture() {
    const svg = document.querySelector(".fm-lab-plot svg"), copy = svg.cloneNode(true);
    const [from, to] = [svg, copy].map((one) => [...one.querySelectorAll("*")]);
    from.forEach((one, i) => {
      const style = getComputedStyle(one);
      for (const key of ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family", "font-weight", "text-anchor"])
        to[i].style.setProperty(key, style.getPropertyValue(key));
    });
    const box = svg.viewBox.baseVal, canvas = Object.assign(document.createElement("canvas"), { width: 3 * box.width, height: 3 * box.height });
    copy.setAttribute("width", canvas.width);
    copy.setAttribute("height", canvas.height);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    const image = new Image();
    image.onload = () => {
      const ink = canvas.getContext("2d");
      ink.fillStyle = getComputedStyle(host).getPropertyValue("--fm-surface") || "#fff";
      ink.fillRect(0, 0, canvas.width, canvas.height);
      ink.drawImage(image, 0, 0);
      canvas.toBlob((blob) => save("fedmed-lab.png", "image/png", blob));
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  }

  // All but the one that is on the curve already.
  const others = (run) => runs.filter((one) => JSON.stringify(one.settings) !== JSON.stringify(run));
  return { keep, others, name, all: () => runs };
};
