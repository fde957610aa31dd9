// Six short guided stories. A step sets the lab, says what to look at, and may run it; the last one
// ends in a sentence computed from the runs that just happened.
fedmedLab.stories = (() => {
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const reached = (run) => run.summary.federated.balanced_accuracy;
  const points = (by) => `${Math.abs(100 * by).toFixed(1)} points`;
  // What one run has over another, in words that can come out either way.
  const beside = (a, b, what, other) => {
    const by = reached(a) - reached(b);
    if (Math.abs(by) < 0.005) return `${what} reached ${percent(reached(a))}, as good as ${other} (${percent(reached(b))}).`;
    return `${what} reached ${percent(reached(a))}, ${points(by)} ${by > 0 ? "more" : "less"} than ${other} (${percent(reached(b))}).`;
  };

  return [
    {
      title: "What skew does",
      steps: [
        { say: "Five hospitals hold the same mix of patients. Joining is easy.", set: { skew: 1, rounds: 5 }, run: true },
        { say: "Now hospital 1 sees almost only pneumonia and hospital 5 almost only healthy chests. Same patients, dealt otherwise.", set: { skew: 256, rounds: 5 } },
        { say: "The same five rounds again. Look at the thin lines: what each hospital learns alone.", set: { skew: 256, rounds: 5 }, run: true },
      ],
      end: ([alike, apart]) => beside(apart, alike, "Dealt worlds apart, five rounds", "dealt alike") +
        ` The worst hospital alone has ${percent(Math.min(...Object.values(apart.summary.alone).map((one) => one.balanced_accuracy)))}.`,
    },
    {
      title: "What FedAvg leaves on the table",
      steps: [
        { say: "FedAvg averages after a few local steps. Give it three rounds and look at the dotted line: the best that can be had.", set: { rounds: 3 }, run: true },
        { say: "Now each hospital sends one message: sums of its features, from which the server solves for the model in one go.", set: { algorithm: "ridge", rounds: 1 }, run: true },
      ],
      end: ([average, exact]) => beside(exact, average, "One message", "three rounds of averages") +
        ` It moved ${fedmedLab.size(exact.summary.bytes)}, the averages ${fedmedLab.size(average.summary.bytes)}.`,
    },
    {
      title: "A hospital drops out",
      steps: [
        { say: "All five take part.", set: {}, run: true },
        { say: "Hospital 5, which holds most healthy chests, is switched off. It still holds its patients; nobody learns of them.", set: { off: [5] } },
        { say: "The same rounds without it.", set: { off: [5] }, run: true },
      ],
      end: ([all, four]) => beside(four, all, "Without hospital 5 the federation", "with it"),
    },
    {
      title: "A poisoned hospital, and the median",
      steps: [
        { say: "Hospital 5 sends a hundred times its update. The average believes it.", set: { poison: "scale:100", poisoned: 5 }, run: true },
        { say: "The median asks what most hospitals say, number by number.", set: { poison: "scale:100", poisoned: 5, algorithm: "median" }, run: true },
      ],
      end: ([average, median]) => beside(median, average, "With one hospital poisoned, the median", "the average"),
    },
    {
      title: "What privacy costs",
      steps: [
        { say: "No promise to patients yet.", set: {}, run: true },
        { say: "Now no patient may change what is sent by more than epsilon 1 allows: gradients are clipped, noise is added at every hospital.", set: { epsilon: 1 }, run: true },
      ],
      end: ([plain, dp]) => beside(dp, plain, "With epsilon 1, federated training", "without privacy") + " Its noise is drawn anew every time.",
    },
    {
      title: "Can you tell who was in it?",
      steps: [
        { say: "An attacker has the model and some X-rays, and guesses: the model is surer of those that it was trained on.", set: { attack: true }, run: true },
        { say: "The same against a model trained with epsilon 1.", set: { attack: true, epsilon: 1 }, run: true },
      ],
      end: ([plain, dp]) => {
        const told = (run) => `${run.summary.attack.auc.toFixed(3)}`;
        const gone = plain.summary.attack.auc < 0.55 ? "hardly better than a coin (0.5)" : "better than a coin (0.5)";
        return `The attack's AUC is ${told(plain)}, ${gone}; with privacy ${told(dp)}. ${plain.summary.attack.members} patients were in, ${plain.summary.attack.others} not.`;
      },
    },
  ];
})();

// `hooks`: set(settings), run(then), said(text).
fedmedLab.guide = (chips, panel, hooks) => {
  let story = null, step = 0, runs = [];

  fedmedLab.stories.forEach((one) => {
    const chip = Object.assign(document.createElement("button"), { type: "button", textContent: one.title });
    chip.addEventListener("click", () => begin(one));
    chips.append(chip);
  });

  function begin(one) {
    story = one; step = 0; runs = [];
    show();
  }

  function end() {
    story = null;
    panel.hidden = true;
    [...chips.children].forEach((chip) => chip.setAttribute("aria-pressed", false));
  }

  function show() {
    const now = story.steps[step];
    [...chips.children].forEach((chip, i) => chip.setAttribute("aria-pressed", fedmedLab.stories[i] === story));
    panel.hidden = false;
    panel.replaceChildren();
    const text = Object.assign(document.createElement("p"), { textContent: `${step + 1} of ${story.steps.length + 1}. ${now.say}` });
    const go = Object.assign(document.createElement("button"), { type: "button", className: "fm-lab-next", textContent: now.run ? "Run it" : "Next" });
    const skip = Object.assign(document.createElement("button"), { type: "button", className: "fm-lab-skip", textContent: "Leave the story" });
    const here = story, at = step;
    go.addEventListener("click", () => {
      go.disabled = true;
      if (!now.run) return onward();
      hooks.run((run) => {
        if (story !== here || step !== at) return;
        runs.push(run);
        onward();
      }, () => (go.disabled = false));
    });
    skip.addEventListener("click", end);
    panel.append(text, go, skip);
    hooks.set(now.set);
    go.focus({ preventScroll: true });
  }

  function onward() {
    step += 1;
    if (step < story.steps.length) return show();
    const text = Object.assign(document.createElement("p"), { textContent: story.end(runs), className: "fm-lab-ending" });
    const leave = Object.assign(document.createElement("button"), { type: "button", className: "fm-lab-skip", textContent: "Done" });
    leave.addEventListener("click", end);
    panel.replaceChildren(text, leave);
    hooks.said(text.textContent);
  }

  return { end };
};
