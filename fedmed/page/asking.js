// What a visitor asks for: an example, or a file chosen, dropped or pasted. The last action wins.
// Every one has a number that its answer brings back; answers to earlier ones are dropped, and
// until the last one's is there the page says that what it shows is another's.
Object.assign(window.fedmed, (() => {
  const LARGEST = 64 * 2 ** 20;
  let gradio; // what Gradio hands its component: `trigger` an event, `upload` a file
  let last = { number: 0, name: "Example 1", example: 0, waiting: false };
  let shown = last.name; // whose answer is on the page
  let parts = 0; // of compare.py's three that are on the page
  let calls = 0, failures = 0; // under way; failed since there were none under way

  const result = () => document.querySelector(".fm-result .fm-reply");
  const strip = () => document.querySelector(".fm-strip");

  // ---- asking ----------------------------------------------------------------------------

  function ask(question) {
    last = { ...question, number: last.number + 1, waiting: true };
    window.fedmed.remember({ example: last.file ? null : last.example + 1 }, { file: last.file });
    press(last.example);
    sayWaiting();
    if (last.file) send(last);
    else call(last);
  }

  async function send(asked) {
    if (asked.file.size > LARGEST) return fail(asked, "It is larger than 64 MB, the most that is read here.");
    try {
      // Its name stays in the browser: it may be a patient's.
      const { path } = await gradio.upload(new File([asked.file], "xray"));
      asked.data = { path, orig_name: "xray", meta: { _type: "gradio.FileData" } };
    } catch {
      return fail(asked, "It could not be sent. Try again in a moment.");
    }
    if (asked === last) call(asked);
  }

  function call(asked) {
    calls += 1;
    const lab = window.fedmed.labAnswers?.() ? 1 : 0; // whether the lab's models are to answer
    if (asked.file) gradio.trigger("upload", { ticket: asked.number, lab });
    else gradio.trigger("click", { example: asked.example, ticket: asked.number, lab });
  }

  function askExample(example) {
    const tile = strip().querySelector(`.fm-tile[data-example="${Number(example)}"]`);
    if (tile && (example !== last.example || last.kept)) ask({ name: tile.querySelector("img").alt, example });
  }

  // The same once more: other models are to answer.
  function askAgain() {
    const there = strip().querySelector(`.fm-tile[data-example="${last.example}"]`);
    if (last.file) ask({ name: last.name, file: last.file, left: 0, example: null });
    else if (there) ask({ name: last.name, example: last.example });
    else if (strip().querySelector(".fm-tile")) ask({ name: "Example 1", example: 0 });
  }

  // ---- answers ---------------------------------------------------------------------------

  function answered(html) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const reply = holder.content.firstElementChild;
    if (!last.waiting || Number(reply?.dataset.ticket) !== last.number) return;
    last.waiting = false;
    show(reply);
  }

  function show(reply) {
    reply.querySelectorAll(".fm-name").forEach((place) => (place.textContent = last.name));
    if (last.left) reply.prepend(paragraph("fm-note fm-left", leftOut()));
    reply.querySelectorAll(".fm-light img").forEach((xray) => (xray.alt = `The X-ray, ${last.name}`));
    reply.querySelectorAll(".fm-save").forEach((link) => (link.download = `${last.name}.json`));
    shown = last.name;
    result().replaceWith(reply);
    window.fedmed.drawn(reply);
    announce(`${shown}: ${reply.querySelector("h2")?.textContent ?? ""}`);
    const { next } = last;
    if (!next) return;
    window.fedmed.keep(); // two files: side by side
    kept();
    ask(next);
  }

  // What is on the page is kept, and its own place is empty: the same may be asked for again.
  function kept() {
    last.kept = true;
    shown = "";
    press(null);
  }

  // Gradio says when a call has ended, and not which. The last one's answer may have been
  // overwritten by another that came in the same moment: it is asked for once more.
  function ended(failed) {
    calls -= 1;
    failures += failed ? 1 : 0;
    if (calls) return;
    const asked = last, wasFailure = failures > 0;
    failures = 0;
    setTimeout(() => {
      if (asked !== last || !asked.waiting || calls || asked.file && !asked.data) return;
      if (wasFailure || asked.again) fail(asked, "The server gave none. Try again in a moment.");
      else {
        asked.again = true;
        call(asked);
      }
    }, 300);
  }

  function fail(asked, reason) {
    if (asked !== last || !asked.waiting) return;
    asked.waiting = false;
    press(null);
    const reply = strip().querySelector(".fm-no-answer").content.firstElementChild.cloneNode(true);
    reply.querySelector(".fm-reason").textContent = reason;
    show(reply);
  }

  // ---- what the page says meanwhile ------------------------------------------------------

  function press(example) {
    strip().querySelectorAll(".fm-tile").forEach((tile) =>
      tile.setAttribute("aria-pressed", tile.dataset.example === String(example)));
  }

  function paragraph(kind, text) {
    const made = document.createElement("p");
    made.className = kind;
    made.textContent = text;
    return made;
  }

  function leftOut() {
    return last.left === 1
      ? "Two X-rays are read at a time: the other file was left."
      : `Two X-rays are read at a time: the ${last.left} other files were left.`;
  }

  function announce(text) {
    strip().querySelector(".fm-live").textContent = text;
  }

  function sayWaiting() {
    const text = `Waiting for the answer to ${last.name}.` + (shown && ` Below is still that to ${shown}.`);
    result().querySelector(".fm-waiting")?.remove();
    const over = paragraph("fm-waiting", "");
    over.append(Object.assign(document.createElement("span"), { textContent: text }));
    result().prepend(over);
    result().setAttribute("aria-busy", "true");
    announce(text);
  }

  // ---- files -----------------------------------------------------------------------------

  // Nothing that could reverse or hide what follows it.
  function readable(name) {
    return name.replace(/[\p{C}\p{Z}]+/gu, " ").trim().slice(0, 200) || "your file";
  }

  function take(files) {
    if (!files?.length || !gradio) return;
    const compare = document.querySelector('[role="tab"]'); // the first
    if (compare.getAttribute("aria-selected") !== "true") compare.click();
    const [first, second] = [...files].slice(0, 2).map((file) =>
      ({ name: readable(file.name), file, left: Math.max(files.length - 2, 0), example: null }));
    ask(second ? { ...first, left: 0, next: second } : first);
  }

  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  const highlight = (on) => document.documentElement.classList.toggle("fm-dropping", on);

  // Wherever it is dropped: the browser would leave the page for it.
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    highlight(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) highlight(false);
  });
  document.addEventListener("drop", (event) => {
    highlight(false);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (!event.clipboardData?.files.length) return;
    event.preventDefault();
    take(event.clipboardData.files);
  });

  // ---- what compare.py is wired to -------------------------------------------------------

  function begin(element, trigger, upload) {
    gradio = { trigger, upload };
    element.addEventListener("click", (event) => {
      const tile = event.target.closest(".fm-tile");
      if (tile) askExample(Number(tile.dataset.example));
    });
    element.addEventListener("change", (event) => {
      if (!event.target.matches("input[type=file]")) return;
      take(event.target.files);
      event.target.value = ""; // the same file may be chosen again
    });
    mounted();
  }

  // Gradio puts parts onto the page one by one; only then is there somewhere for an answer to go.
  function mounted() {
    parts += 1;
    if (parts === 3) window.fedmed.restore();
  }

  return { begin, mounted, answered, ended, askExample, askAgain, take, kept, file: () => last.data ?? null, asked: () => last };
})());
