// The lab's curve: scores by round, with the exact optimum, central training and hospitals alone.
fedmedLab.curve = (host, announce) => {
  const WIDTH = 460, HEIGHT = 300, LEFT = 46, RIGHT = 112, TOP = 14, BOTTOM = 34;
  const TITLES = { balanced_accuracy: "Balanced accuracy, %", auc: "AUC, %" };
  const NS = "http://www.w3.org/2000/svg";
  let shown = { rounds: [], total: 20, summary: null, kept: [], metric: "balanced_accuracy" };
  let asked = false, pointed = null;

  const make = (name, attributes, text) => {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const value = (scores) => scores?.[shown.metric];
  const series = (run, model) => run.rounds.map((round) => value(round.models[model])).filter((one) => one !== undefined);

  function lowest() {
    const all = [shown, ...shown.kept].flatMap((run) => run.rounds.flatMap((round) => Object.values(round.models).map(value)));
    return Math.max(0, Math.min(0.7, Math.floor((Math.min(...all, 0.8) - 0.02) * 10) / 10));
  }

  function draw() {
    asked = false;
    const low = lowest(), total = Math.max(shown.total, ...shown.kept.map((run) => run.rounds.length));
    const x = (round) => LEFT + ((WIDTH - LEFT - RIGHT) * round) / Math.max(1, total);
    const y = (score) => TOP + ((HEIGHT - TOP - BOTTOM) * (1 - score)) / (1 - low);
    const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "fm-chart fm-lab-chart", role: "img" });
    svg.setAttribute("aria-label", said(shown.rounds.at(-1)));
    for (let tick = low; tick <= 1.0001; tick += 0.1) {
      svg.append(make("line", { class: "fm-grid-line", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }));
      svg.append(make("text", { class: "fm-label", x: LEFT - 7, y: y(tick) + 4, "text-anchor": "end" }, Math.round(100 * tick)));
    }
    for (const tick of [0, total / 2, total]) {
      if (Number.isInteger(tick)) svg.append(make("text", { class: "fm-label", x: x(tick), y: HEIGHT - 16, "text-anchor": "middle" }, tick));
    }
    svg.append(make("text", { class: "fm-title", x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 2, "text-anchor": "middle" }, "Round"));
    const upright = { class: "fm-title", transform: "rotate(-90)", x: -(TOP + HEIGHT - BOTTOM) / 2, y: 11, "text-anchor": "middle" };
    svg.append(make("text", upright, TITLES[shown.metric]));
    const line = (scores, kind, first = 1) => scores.length && svg.append(make("polyline", {
      class: `fm-lab-line ${kind}`, points: scores.map((one, i) => `${x(first + i)},${y(one)}`).join(" "),
    }));
    const labels = [];
    const across = (score, kind, text) => {
      if (score === undefined) return;
      svg.append(make("line", { class: `fm-lab-line ${kind}`, x1: LEFT, x2: WIDTH - RIGHT, y1: y(score), y2: y(score) }));
      labels.push({ y: y(score), kind, text });
    };
    const last = shown.rounds.at(-1);
    const hospitals = Object.keys(last?.models ?? {}).filter((model) => model.startsWith("hospital_"));
    hospitals.forEach((model) => line(series(shown, model), "fm-lab-alone"));
    if (hospitals.length && shown.rounds.length > 1) {
      const ends = hospitals.map((model) => value(last.models[model]));
      labels.push({ y: y(ends.reduce((a, b) => a + b) / ends.length), kind: "", text: "each alone" });
    }
    shown.kept.forEach((run) => {
      line(series(run, "federated"), `fm-lab-kept-line fm-lab-kept-${run.place}`);
      labels.push({ y: y(series(run, "federated").at(-1)), kind: `fm-lab-kept-${run.place}`, text: `run ${run.number}` });
    });
    across(value(shown.summary?.optimum ?? last?.optimum), "fm-lab-optimum", "optimum");
    across(value(shown.rounds.findLast((round) => round.models.central)?.models.central), "fm-lab-central", "central");
    const federated = series(shown, "federated");
    line(federated, "fm-lab-federated");
    if (federated.length) {
      svg.append(make("circle", { class: "fm-lab-head", cx: x(federated.length), cy: y(federated.at(-1)), r: 4.5 }));
      labels.push({ y: y(federated.at(-1)), kind: "fm-lab-federated", text: `federated ${(100 * federated.at(-1)).toFixed(1)}` });
    }
    labels.sort((a, b) => a.y - b.y).forEach((one, i) => {
      one.y = Math.max(one.y + 4, i ? labels[i - 1].y + 13 : 0);
      svg.append(make("text", { class: `fm-lab-tag ${one.kind}`, x: WIDTH - RIGHT + 8, y: one.y }, one.text));
    });
    if (!last) svg.append(make("text", { class: "fm-lab-empty", x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "Press Run"));
    if (pointed && shown.rounds[pointed - 1]) {
      svg.append(make("line", { class: "fm-lab-cursor", x1: x(pointed), x2: x(pointed), y1: TOP, y2: HEIGHT - BOTTOM }));
    }
    host.replaceChildren(svg);
    host.x = x;
  }

  function said(round) {
    if (!round) return "No round yet.";
    const parts = Object.entries(round.models).filter(([name]) => !name.startsWith("hospital_"))
      .map(([name, scores]) => `${name} ${(100 * value(scores)).toFixed(1)} %`);
    const alone = Object.entries(round.models).filter(([name]) => name.startsWith("hospital_")).map(([, scores]) => value(scores));
    if (alone.length) parts.push(`alone ${(100 * Math.min(...alone)).toFixed(1)} to ${(100 * Math.max(...alone)).toFixed(1)} %`);
    return `Round ${round.round}: ${parts.join(", ")}`;
  }

  function point(round, aloud) {
    pointed = Math.min(Math.max(1, round), shown.rounds.length);
    const text = said(shown.rounds[pointed - 1]);
    host.dataset.tip = text;
    if (aloud) announce(text);
    draw();
  }

  host.addEventListener("pointermove", (event) => {
    const svg = host.querySelector("svg"), box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * WIDTH, total = Math.max(1, shown.total);
    if (shown.rounds.length) point(Math.round(((at - LEFT) * total) / (WIDTH - LEFT - RIGHT)), false);
  });
  host.addEventListener("pointerleave", () => { pointed = null; draw(); });
  host.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, Home: -999, End: 999 }[event.key];
    if (!by || !shown.rounds.length) return;
    event.preventDefault();
    point((pointed ?? shown.rounds.length) + by, true);
  });

  function show(changes) {
    Object.assign(shown, changes);
    if (!asked) requestAnimationFrame(draw);
    asked = true;
  }
  draw();
  return { show, said };
};
