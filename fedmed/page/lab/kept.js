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
    // Run again, it keeps its number and is the last: the one that leaves was run longest ago.
    runs = [...runs.filter((one) => one !== same), { ...run, number: same?.number ?? ++made }].slice(-MOST);
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

  function picture() {
    const host = document.querySelector(".fm-lab-plot");
    const lines = runs.map((run, place) => {
      const kind = `fm-lab-kept-${place}`, beside = host.querySelector(`.fm-lab-line.${kind}`);
      return beside ? { kind, text: `run ${run.number}: ${name(run.settings)}` } : { kind: "fm-lab-federated", text: `federated: ${name(run.settings)}` };
    });
    fedmedLab.picture(host, lines, (blob) => save("fedmed-lab.png", "image/png", blob));
  }

  // All but the one that is on the curve already, with their places, which give them their colours.
  const others = (run) => runs.map((one, place) => ({ ...one, place })).filter((one) => JSON.stringify(one.settings) !== JSON.stringify(run));
  return { keep, others, name, all: () => runs };
};
