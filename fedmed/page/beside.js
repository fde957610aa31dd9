// Two answers side by side: one is kept while the next is asked for. And what a visitor takes along.
Object.assign(window.fedmed, (() => {
  const result = () => document.querySelector(".fm-result .fm-reply");

  function made(tag, kind, text) {
    return Object.assign(document.createElement(tag), { className: kind, textContent: text });
  }

  // The answer moves into the column of the one that is kept; its own place waits for the next.
  function keep() {
    const reply = result(), answer = reply.querySelector(".fm-answer");
    if (!answer) return;
    document.querySelector(".fm-kept")?.remove();
    const kept = made("div", "fm-kept", ""), over = made("p", "fm-kept-over", "");
    const name = answer.querySelector(".fm-name")?.textContent ?? "", models = answer.dataset.snapshot;
    over.append(made("span", "", `Kept: ${name}${models ? ` (models: ${models})` : ""}`));
    over.append(Object.assign(made("button", "fm-let-go", "Let it go"), { type: "button" }));
    const empty = made("section", "fm-answer", "");
    empty.append(made("p", "fm-note fm-next", "Choose an example or a file, or other models: the answer comes here."));
    kept.append(over, ...reply.childNodes);
    reply.append(empty);
    reply.before(kept);
    reply.parentElement.classList.add("fm-beside");
  }

  function letGo() {
    document.querySelector(".fm-beside")?.classList.remove("fm-beside");
    document.querySelector(".fm-kept")?.remove();
    if (result().querySelector(".fm-next")) window.fedmed.askAgain();
  }

  document.addEventListener("click", (event) => {
    const on = (selector) => event.target.closest?.(selector);
    if (on(".fm-print")) window.print(); // every browser saves that as a PDF
    else if (on(".fm-keep")) {
      keep();
      window.fedmed.kept();
      document.querySelector(".fm-strip").scrollIntoView({ block: "start" });
    } else if (on(".fm-let-go")) letGo();
  });

  return { keep };
})());
