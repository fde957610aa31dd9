// The lab's stage: hospitals as cards, patients as dots on a canvas above them, messages as packets.
// Dots move only when patients are dealt anew; in a federation nothing leaves a hospital but packets.
window.fedmedLab = {};
fedmedLab.stage = (root, pressed) => {
  const MOST_DOTS = 330, UNITS = [1, 2, 5, 10, 20, 50, 100];
  const WAVE = 620, BETWEEN = 190; // milliseconds: of a round on the stage, and between two rounds
  const CLASSES = ["normal", "pneumonia"];
  const canvas = root.querySelector("canvas"), ink = canvas.getContext("2d");
  const server = root.querySelector(".fm-lab-server"), cards = root.querySelector(".fm-lab-hospitals");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let counts = [], states = [], dots = [], waves = [], unit = 10, colours = {}, frame = 0, before = 0;
  let size = [0, 0], ends = [], gutter = 0;

  // ---- cards -----------------------------------------------------------------------------

  function build(number) {
    cards.style.setProperty("--fm-columns", number <= 6 ? number : number <= 12 ? Math.ceil(number / 2) : 10);
    cards.classList.toggle("fm-many", number > 6); // two rows and more
    cards.classList.toggle("fm-crowd", number > 12);
    cards.replaceChildren(...Array.from({ length: number }, (_, place) => {
      const card = document.createElement("button");
      card.type = "button";
      card.className = "fm-lab-hospital";
      card.innerHTML = '<span class="fm-lab-name"></span><span class="fm-lab-field"></span><span class="fm-lab-mix"></span><span class="fm-lab-gain"></span>';
      card.addEventListener("click", () => pressed(place));
      return card;
    }));
  }

  const share = ([normal, ill]) => Math.round((100 * ill) / Math.max(1, normal + ill));

  function label(place) {
    const card = cards.children[place], state = states[place] ?? "here", count = counts[place];
    card.dataset.state = state;
    const short = cards.classList.contains("fm-crowd");
    card.querySelector(".fm-lab-name").innerHTML = short ? place + 1 : `<span class="fm-lab-word">Hospital </span>${place + 1}`;
    const told = { off: "switched off", late: "late every 2nd round", poisoned: "poisoned" };
    card.querySelector(".fm-lab-mix").innerHTML = told[state] ?? `${share(count)} %<span class="fm-lab-word"> pneumonia</span>`;
    const gain = card.querySelector(".fm-lab-gain").textContent;
    card.setAttribute("aria-label", `Hospital ${place + 1}, ${state}: ${count[0] + count[1]} patients, ${share(count)} % pneumonia. ${gain}`);
  }

  // `scores`: {alone, joined} of each hospital in percent, or null.
  function score(place, scores) {
    const shown = cards.children[place]?.querySelector(".fm-lab-gain");
    if (!shown) return;
    shown.replaceChildren();
    if (scores) {
      const by = scores.joined - scores.alone, bar = document.createElement("i");
      bar.style.cssText = `--alone:${scores.alone}%;--joined:${scores.joined}%`;
      const said = document.createElement("b");
      said.textContent = `${by >= 0 ? "+" : "−"}${Math.abs(by).toFixed(1)}`;
      shown.dataset.gain = Math.abs(by) < 1 ? "none" : by > 0 ? "up" : "down";
      shown.append(`alone ${scores.alone.toFixed(0)} → ${scores.joined.toFixed(0)} `, said, bar);
    }
    label(place);
  }

  // ---- dots ------------------------------------------------------------------------------

  // How many dots of a class every hospital has: rounded so that they add up.
  function inDots(kind) {
    let sum = 0, drawn = 0;
    return counts.map((count) => {
      sum += count[kind];
      const here = Math.round(sum / unit) - drawn;
      drawn += here;
      return here;
    });
  }

  function deal(newCounts, newStates) {
    states = newStates;
    const total = newCounts.flat().reduce((a, b) => a + b, 0);
    unit = UNITS.find((one) => total / one <= MOST_DOTS) ?? 200;
    if (newCounts.length !== cards.childElementCount) build(newCounts.length);
    counts = newCounts;
    root.querySelector(".fm-lab-unit").textContent = unit === 1 ? "one dot is a patient" : `one dot is ${unit} patients`;
    counts.forEach((_, place) => label(place));
    settle();
  }

  function settle() {
    const box = canvas.getBoundingClientRect();
    if (!box.width || !counts.length) return;
    size = [box.width, box.height];
    const sharp = window.devicePixelRatio || 1;
    canvas.width = Math.round(size[0] * sharp);
    canvas.height = Math.round(size[1] * sharp);
    ink.setTransform(sharp, 0, 0, sharp, 0, 0);
    const style = getComputedStyle(root);
    for (const name of ["normal-fill", "pneumonia-fill", "accent", "edge", "soft", "ink", "surface"])
      colours[name] = style.getPropertyValue(`--fm-${name}`).trim();
    const perClass = [inDots(0), inDots(1)];
    const most = Math.max(1, ...counts.map((_, place) => perClass[0][place] + perClass[1][place]));
    const wanted = [];
    const from = server.getBoundingClientRect(), top = cards.getBoundingClientRect().top - box.top;
    gutter = parseFloat(getComputedStyle(cards).columnGap);
    ends = [...cards.children].map((card, place) => {
      const field = card.querySelector(".fm-lab-field").getBoundingClientRect(), whole = card.getBoundingClientRect();
      let pitch = 11;
      while (pitch > 3 && Math.ceil(most / Math.floor(field.width / pitch)) * pitch > field.height) pitch -= 0.5;
      const columns = Math.max(1, Math.floor(field.width / pitch));
      const first = field.left - box.left + (field.width - columns * pitch) / 2;
      let slot = 0;
      for (const kind of [1, 0]) for (let i = 0; i < perClass[kind][place]; i++, slot++) {
        wanted.push({
          kind, place, radius: pitch * 0.36,
          x: first + (slot % columns + 0.5) * pitch,
          y: field.bottom - box.top - (Math.floor(slot / columns) + 0.5) * pitch,
        });
      }
      const end = { x0: from.left - box.left + from.width / 2, y0: from.bottom - box.top, y1: top };
      const left = whole.left - box.left, upper = whole.top - box.top;
      if (upper - top < 1) return { ...end, x1: left + whole.width / 2, drop: 0 };
      // Below the first row a wire goes down beside the cards, so that none is crossed.
      return { ...end, x1: left - gutter / 2, drop: upper + whole.height / 2 - top };
    });
    // A dot keeps its class, and so glides to the next hospital when shares shift.
    for (const kind of [0, 1]) {
      const targets = wanted.filter((one) => one.kind === kind), had = dots.filter((one) => one.kind === kind);
      targets.forEach((target, i) => {
        const at = had[i] ?? { x: size[0] / 2, y: size[1] / 3 };
        target.tx = target.x; target.ty = target.y;
        if (!still.matches) { target.x = at.x; target.y = at.y; }
        target.haste = 7 + 6 * ((i * 0.618) % 1);
      });
    }
    dots = wanted;
    wake();
  }

  // ---- rounds ----------------------------------------------------------------------------

  // `bytes`: {down, up} of each hospital; 0 where no message goes. `acts`: which of the three.
  function play(bytes, acts = ["down", "train", "up"]) {
    const now = performance.now();
    if (still.matches) return draw(now);
    if (acts.length === 3 && waves.length && now - waves.at(-1).begun < BETWEEN) return;
    waves.push({ begun: now, bytes, acts, lasts: acts.length === 3 ? WAVE : 700 });
    wake();
  }

  // When an act of a wave goes on, as a share of it: null before and after.
  function progress(wave, act, now) {
    const spans = wave.acts.length === 3 ? { down: [0, 0.42], train: [0.3, 0.72], up: [0.6, 1] } : { [wave.acts[0]]: [0, 1] };
    const span = spans[act];
    if (!span) return null;
    const at = ((now - wave.begun) / wave.lasts - span[0]) / (span[1] - span[0]);
    return at >= 0 && at <= 1 ? at : null;
  }

  const ease = (t) => (t < 0.5 ? 2 * t * t : 1 - (2 - 2 * t) ** 2 / 2);

  // The point that is a share of the way from the server: along the curve, then down.
  function along(end, share) {
    const curve = Math.hypot(end.x1 - end.x0, end.y1 - end.y0), gone = share * (curve + end.drop);
    if (gone > curve) return [end.x1, end.y1 + gone - curve];
    const bend = (end.y1 - end.y0) * 0.55, t = gone / curve, s = 1 - t;
    const points = [[end.x0, end.y0], [end.x0, end.y0 + bend], [end.x1, end.y1 - bend], [end.x1, end.y1]];
    const weights = [s ** 3, 3 * s * s * t, 3 * s * t * t, t ** 3];
    return [0, 1].map((axis) => points.reduce((sum, point, i) => sum + weights[i] * point[axis], 0));
  }

  // ---- drawing ---------------------------------------------------------------------------

  function wire(end, state) {
    const bend = (end.y1 - end.y0) * 0.55;
    ink.strokeStyle = colours[state === "poisoned" ? "pneumonia-fill" : "edge"];
    ink.lineWidth = 1.5;
    ink.setLineDash(state === "off" ? [2, 6] : state === "late" ? [7, 5] : []);
    ink.beginPath();
    ink.moveTo(end.x0, end.y0);
    ink.bezierCurveTo(end.x0, end.y0 + bend, end.x1, end.y1 - bend, end.x1, end.y1);
    if (end.drop) {
      ink.lineTo(end.x1, end.y1 + end.drop);
      ink.lineTo(end.x1 + gutter / 2, end.y1 + end.drop);
    }
    ink.stroke();
    ink.setLineDash([]);
  }

  function packet(end, t, bytes, state) {
    const [x, y] = along(end, t), s = counts.length > 12 ? 0.6 : 1;
    ink.fillStyle = colours[state === "poisoned" ? "pneumonia-fill" : "accent"];
    ink.beginPath();
    ink.roundRect(x - 7 * s, y - 5 * s, 14 * s, 10 * s, 2.5 * s);
    ink.fill();
    ink.strokeStyle = colours.surface;
    ink.lineWidth = 1.3 * s;
    ink.beginPath();
    ink.moveTo(x - 5 * s, y - 3 * s); ink.lineTo(x, y + s); ink.lineTo(x + 5 * s, y - 3 * s);
    ink.stroke();
    if (counts.length > 8 || end.drop) return;
    ink.fillStyle = colours.soft;
    ink.font = "11px system-ui, sans-serif";
    ink.fillText(fedmedLab.size(bytes), x + 11, y + 4);
  }

  function dot(one, scale) {
    const r = one.radius * scale;
    ink.beginPath();
    if (one.kind) {
      ink.moveTo(one.x, one.y - r * 1.2); ink.lineTo(one.x + r * 1.2, one.y);
      ink.lineTo(one.x, one.y + r * 1.2); ink.lineTo(one.x - r * 1.2, one.y);
      ink.fillStyle = colours["pneumonia-fill"];
      ink.fill();
    } else {
      ink.arc(one.x, one.y, r * 0.82, 0, 7);
      ink.strokeStyle = colours["normal-fill"];
      ink.lineWidth = Math.max(1, r * 0.5);
      ink.stroke();
    }
  }

  function draw(now) {
    const past = Math.min(0.05, (now - before) / 1000);
    before = now;
    waves = waves.filter((wave) => now - wave.begun <= wave.lasts);
    ink.clearRect(0, 0, ...size);
    // Hospitals of a column share a wire's way: those that are broken are drawn last, and seen.
    const here = (place) => states[place] === "here";
    for (const first of [true, false]) ends.forEach((end, place) => here(place) === first && wire(end, states[place]));
    const training = waves.map((wave) => progress(wave, "train", now)).find((at) => at !== null) ?? null;
    let moving = waves.length > 0;
    dots.forEach((one, i) => {
      const near = Math.abs(one.tx - one.x) + Math.abs(one.ty - one.y) < 0.3;
      const go = near || still.matches ? 1 : 1 - Math.exp(-one.haste * past);
      one.x += (one.tx - one.x) * go; one.y += (one.ty - one.y) * go;
      moving ||= !near;
      const works = training !== null && states[one.place] !== "off";
      ink.globalAlpha = states[one.place] === "off" ? 0.25 : 1;
      dot(one, works ? 1 + 0.32 * Math.sin(Math.PI * training) * Math.sin(training * 9 + i * 2.4) : 1);
    });
    ink.globalAlpha = 1;
    for (const wave of waves) for (const way of ["down", "up"]) {
      const at = progress(wave, way, now);
      if (at === null) continue;
      ends.forEach((end, place) => {
        const bytes = wave.bytes[place]?.[way];
        if (bytes) packet(end, way === "down" ? ease(at) : 1 - ease(at), bytes, way === "up" ? states[place] : "");
      });
    }
    return moving;
  }

  function wake() {
    if (frame) return;
    before = performance.now();
    const next = (now) => (frame = draw(now) ? requestAnimationFrame(next) : 0);
    frame = requestAnimationFrame(next);
  }

  new ResizeObserver(settle).observe(root);
  new MutationObserver(settle).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  return { deal, play, score, classes: CLASSES };
};

// Bytes in decimal units, as the whole page says them.
fedmedLab.size = (bytes) => {
  for (const unit of ["B", "kB", "MB"]) {
    if (bytes < 999.5) return unit === "B" || bytes >= 100 ? `${Math.round(bytes)} ${unit}` : `${bytes.toFixed(1)} ${unit}`;
    bytes /= 1000;
  }
  return `${bytes.toFixed(1)} GB`;
};
