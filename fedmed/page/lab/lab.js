// The lab's control: settings, the run that is under way, and what the drawing is told of it.
window.fedmed.lab = (() => {
  const STATES = ["here", "off", "late", "poisoned"];
  const ACTS = ["down", "train", "up"];
  let root, trigger, stage, curve, kept, guide, defaults, skews, alphas;
  let settings, track = null, ticket = 0, dealing = 0, undealt = false, run = null, step = null, lastRun = null;

  const at = (selector) => root.querySelector(selector);
  const field = (name) => at(`[name="${name}"]`);
  const announce = (text) => (at(".fm-lab-live").textContent = text);
  const say = (text) => (at(".fm-lab-said").textContent = text);

  // ---- settings --------------------------------------------------------------------------

  const places = () => (settings.partition === "dirichlet" ? alphas : skews);
  const sliderIs = () => (settings.partition === "dirichlet" ? "alpha" : "skew");

  function nearest() {
    const wanted = settings[sliderIs()];
    const off = places().map((one) => Math.abs(Math.log(one / wanted)));
    return off.indexOf(Math.min(...off));
  }

  function stateOf(number) {
    if (settings.off.includes(number)) return "off";
    if (settings.late.includes(number)) return "late";
    return settings.poison && (settings.poisoned ?? settings.hospitals) === number ? "poisoned" : "here";
  }

  const states = () => Array.from({ length: settings.hospitals }, (_, i) => stateOf(i + 1));

  // The settings that differ from the defaults, as the server and the address want them.
  function changed() {
    return Object.fromEntries(Object.entries(settings).filter(([name, value]) =>
      JSON.stringify(value) !== JSON.stringify(defaults[name])));
  }

  function set(changes) {
    const before = settings;
    problem("");
    settings = { ...settings, ...changes };
    settings.off = settings.off.filter((one) => one <= settings.hospitals);
    settings.late = settings.late.filter((one) => one <= settings.hospitals);
    if (settings.poisoned > settings.hospitals) settings.poisoned = settings.poison = null;
    fill();
    const differs = (...names) => names.some((name) => settings[name] !== before?.[name]);
    const anew = differs("hospitals", "partition", "seed");
    if (anew || !track) ask();
    else showDeal();
    if (run && !run.summary) cancel();
    else if (run && (anew || differs("skew", "alpha"))) forget(); // they were of other patients
  }

  function fill() {
    field("place").max = places().length - 1;
    field("place").value = nearest();
    field("place").disabled = settings.partition === "iid";
    field("place").setAttribute("aria-valuetext", `${sliderIs()} ${settings[sliderIs()]}`);
    for (const name of ["algorithm", "partition", "rounds", "local_epochs", "participation", "drop_out", "quantize", "seed"]) field(name).value = settings[name];
    const epsilon = field("epsilon"), wanted = settings.epsilon === null ? "" : String(settings.epsilon);
    if (![...epsilon.options].some((one) => one.value === wanted)) epsilon.append(new Option(wanted, wanted));
    epsilon.value = wanted;
    if (settings.poison) field("poison").value = settings.poison;
    field("attack").checked = settings.attack;
    at(".fm-lab-hospitals-count").textContent = settings.hospitals;
  }

  function read(name) {
    const input = field(name);
    if (name === "place") return { [sliderIs()]: places()[Number(input.value)] };
    if (name === "epsilon") return { epsilon: input.value === "" ? null : Number(input.value) };
    if (name === "attack") return { attack: input.checked };
    if (name === "poison") return settings.poison ? { poison: input.value } : {};
    if (input.type === "number") return input.validity.valid && input.value !== "" ? { [name]: Number(input.value) } : {};
    return { [name]: input.value };
  }

  function press(place) {
    const number = place + 1, next = STATES[(STATES.indexOf(stateOf(number)) + 1) % STATES.length];
    const without = (list) => list.filter((one) => one !== number);
    const changes = { off: without(settings.off), late: without(settings.late) };
    if (stateOf(number) === "poisoned") Object.assign(changes, { poison: null, poisoned: null });
    if (next === "off") changes.off = [...changes.off, number].sort((a, b) => a - b);
    if (next === "late") changes.late = [...changes.late, number].sort((a, b) => a - b);
    if (next === "poisoned") Object.assign(changes, { poison: field("poison").value, poisoned: number });
    set(changes);
    announce(`Hospital ${number} is ${next}.`);
  }

  // ---- dealing ---------------------------------------------------------------------------

  function ask() {
    dealing += 1;
    trigger("input", { ticket: dealing, settings: { ...changed(), off: [], late: [], poison: null, poisoned: null, epsilon: null, algorithm: "fedavg", quantize: "none" } });
  }

  function showDeal() {
    if (!track) return;
    const counts = track[Math.min(track.length - 1, Number(field("place").value))];
    if (counts.length !== settings.hospitals) return;
    stage.deal(counts, states());
  }

  function redeal() {
    if (root) ask();
  }

  // ---- runs ------------------------------------------------------------------------------

  function begin(mode, then, failed) {
    ticket += 1;
    problem("");
    run = { ticket, settings: structuredClone(settings), rounds: [], summary: null, then, failed, mode };
    step = mode === "step" ? { shown: 0, act: 0 } : null;
    forget();
    const difference = changed();
    window.fedmed.remember({ tab: "Lab", lab: fedmedLab.link.write(difference) }, { step: false });
    at(".fm-lab-round").textContent = "asking the hospitals …";
    at(".fm-lab-time").textContent = "";
    at(".fm-lab-run").textContent = "Stop";
    draw();
    trigger("submit", { ticket, settings: difference });
  }

  // Hospitals' scores, of a run that is no longer looked at.
  function forget() {
    for (let place = 0; place < settings.hospitals; place++) stage.score(place, null);
  }

  function cancel() {
    if (run && !run.summary) trigger("stop", {});
    forget();
    run = step = null;
    at(".fm-lab-run").textContent = "Run";
    at(".fm-lab-round").textContent = "sees messages, never an X-ray";
    draw();
  }

  function got(text) {
    if (!text) return;
    const answer = JSON.parse(text);
    if (answer.track !== undefined || answer.dealt) return dealt(answer);
    if (!run || answer.ticket !== run.ticket) return;
    if (answer.problem) {
      const { failed } = run;
      cancel();
      problem(answer.problem);
      failed?.();
      return;
    }
    for (const event of answer.events ?? []) {
      if (event.summary) finish(event.summary);
      else if (!run.rounds[event.round - 1]) {
        run.rounds[event.round - 1] = event;
        if (!step) showRound(event);
      }
    }
    if (answer.waiting > 12 && !run.rounds.length) at(".fm-lab-round").textContent = "waiting for a free place …";
    if (step && step.shown === 0 && step.act === 0 && run.rounds.length) act();
    draw();
  }

  function dealt(answer) {
    if (answer.ticket !== dealing) return;
    if (answer.problem) {
      undealt = true;
      return problem(answer.problem);
    }
    if (undealt) problem("");
    undealt = false;
    track = answer.track;
    const note = at(".fm-lab-note");
    note.textContent = answer.note;
    note.hidden = !answer.note;
    showDeal();
  }

  const sum = (bytes) => Object.values(bytes).reduce((a, b) => a + b, 0);
  const known = () => (run?.rounds ?? []).filter(Boolean);
  const visible = () => (step ? known().slice(0, step.shown) : known());
  const messages = (event) => Array.from({ length: settings.hospitals }, (_, i) => ({
    down: event.bytes_down[`hospital_${i + 1}`] ?? 0, up: event.bytes_up[`hospital_${i + 1}`] ?? 0,
  }));

  function showRound(event) {
    stage.play(messages(event));
    scores(event);
  }

  function scores(event) {
    for (let place = 0; place < settings.hospitals; place++) {
      const alone = event.models[`hospital_${place + 1}`];
      if (alone) stage.score(place, { alone: 100 * alone.balanced_accuracy, joined: 100 * event.models.federated.balanced_accuracy });
    }
  }

  function draw() {
    const rounds = visible(), last = rounds.at(-1);
    const total = run?.settings.rounds ?? settings.rounds;
    curve.show({ rounds, total: run?.summary?.rounds ?? total, summary: run?.summary ?? null, kept: kept.others(run?.settings) });
    const moved = rounds.reduce((all, one) => all + sum(one.bytes_up) + sum(one.bytes_down), 0);
    at(".fm-lab-bytes").textContent = fedmedLab.size(moved);
    at(".fm-lab-privacy").textContent = last?.epsilon !== undefined ? `epsilon ${last.epsilon.toFixed(2)} spent` : settings.epsilon ? `epsilon ${settings.epsilon}` : "privacy off";
    if (run && last && !step && !run.summary) at(".fm-lab-round").textContent = `round ${last.round} of ${total}`;
  }

  function finish(summary) {
    run.summary = summary;
    at(".fm-lab-time").textContent = `${summary.seconds.toFixed(1)} s`;
    at(".fm-lab-run").textContent = "Run";
    if (step?.shown === known().length) step = null; // all was shown before the end was known
    if (!step) ended();
  }

  function ended() {
    const { summary } = run;
    run.rounds = known();
    say(summary.sentence);
    at(".fm-lab-round").textContent = `done after ${summary.rounds} round${summary.rounds === 1 ? "" : "s"}`;
    lastRun = run.settings;
    kept.keep({ settings: run.settings, rounds: run.rounds, summary });
    scores(run.rounds.at(-1));
    draw();
    run.then?.({ settings: run.settings, rounds: run.rounds, summary });
  }

  // ---- step by step ----------------------------------------------------------------------

  // One of a round's three acts: broadcast, local training, merge.
  function act() {
    const event = run.rounds[step.shown];
    if (!event) return;
    const round = event.round, down = sum(event.bytes_down), up = sum(event.bytes_up);
    const takes = Object.keys(event.bytes_up).length;
    stage.play(messages(event), [ACTS[step.act]]);
    const said = [
      `Round ${round}: the server sends its model to ${Object.keys(event.bytes_down).length} hospitals, ${fedmedLab.size(down)} in all.`,
      `Round ${round}: each hospital trains on its own X-rays. Nothing moves.`,
      `Round ${round}: ${takes} hospitals answer with ${fedmedLab.size(up)}. Merged, the model has ${(100 * event.models.federated.balanced_accuracy).toFixed(1)} % balanced accuracy.`,
    ][step.act];
    say(said);
    at(".fm-lab-round").textContent = `round ${round}: ${["sends", "waits", "merges"][step.act]}`;
    step.act += 1;
    if (step.act === 3) {
      step = { shown: step.shown + 1, act: 0 };
      scores(event);
      if (run.summary && step.shown === known().length) {
        step = null;
        ended();
      }
    }
    draw();
  }

  function pressStep() {
    if (!run || !step) return begin("step");
    if (run.rounds[step.shown]) act();
  }

  function show(one) {
    if (run && !run.summary) cancel();
    set(one.settings);
    step = null;
    run = { ...one, ticket: ++ticket };
    say(one.summary.sentence);
    scores(one.rounds.at(-1));
    window.fedmed.remember({ lab: fedmedLab.link.write(changed()) }, { step: false });
    draw();
  }

  // A link that can't be run says so, above hospitals as they are by default.
  function withoutLink() {
    settings = structuredClone(defaults);
    undealt = false;
    fill();
    ask();
  }

  function problem(text) {
    at(".fm-lab-problem").textContent = text;
    at(".fm-lab-problem").hidden = !text;
  }

  // ---- the lab's models in the Compare tab -------------------------------------------------

  let answers = false; // whether they answer in place of the stored ones

  function answering(on) {
    answers = on;
    const banner = document.querySelector(".fm-lab-answers");
    banner.hidden = !on;
    banner.querySelector("b").textContent = on ? kept.name(lastRun) : "";
    banner.querySelector("button").onclick = () => answering(false);
    if (on) document.querySelector('[role="tab"]').click(); // Compare is the first
    window.fedmed.askAgain();
  }

  window.fedmed.labAnswers = () => answers;

  // ---- wiring ----------------------------------------------------------------------------

  function start(element, raise) {
    root = element.querySelector(".fm-lab");
    trigger = raise;
    defaults = JSON.parse(root.dataset.defaults);
    skews = JSON.parse(root.dataset.skews);
    alphas = JSON.parse(root.dataset.alphas);
    settings = structuredClone(defaults);
    stage = fedmedLab.stage(at(".fm-lab-stage"), press);
    curve = fedmedLab.curve(at(".fm-lab-plot"), announce);
    kept = fedmedLab.kept(at(".fm-lab-kept"), { defaults, show, changed: draw, announce, answer: () => answering(true) });
    guide = fedmedLab.guide(at(".fm-lab-chips"), at(".fm-lab-story"), {
      set: (changes) => set({ ...structuredClone(defaults), ...changes }),
      run: (then, failed) => begin("run", then, failed),
      said: say,
    });
    const form = at(".fm-lab-controls");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (run && !run.summary && !step) cancel();
      else if (step && run.summary) { step = null; known().forEach(scores); ended(); }
      else begin("run");
    });
    form.addEventListener("input", (event) => event.target.name && set(read(event.target.name)));
    at(".fm-lab-step").addEventListener("click", pressStep);
    at(".fm-lab-reset").addEventListener("click", () => {
      guide.end();
      cancel();
      set(structuredClone(defaults));
      say("As at the start. Press Run.");
      window.fedmed.remember({ lab: null }, { step: false });
    });
    form.querySelectorAll("[data-count]").forEach((one) => one.addEventListener("click", () =>
      set({ hospitals: Math.min(50, Math.max(2, settings.hospitals + Number(one.dataset.count))) })));
    root.querySelectorAll("[data-metric]").forEach((one) => one.addEventListener("click", () => {
      root.querySelectorAll("[data-metric]").forEach((other) => other.setAttribute("aria-pressed", other === one));
      curve.show({ metric: one.dataset.metric });
    }));
    const linked = new URLSearchParams(location.hash.slice(1)).get("lab");
    fill();
    // Nothing is asked, and no features are loaded, before somebody looks at the lab.
    new IntersectionObserver((seen, watcher) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      watcher.disconnect();
      if (linked) {
        set(fedmedLab.link.read(linked, defaults));
        begin("run", null, withoutLink);
      } else {
        trigger("focus", {});
        set({});
      }
    }).observe(root);
  }

  return { begin: start, got, redeal };
})();
