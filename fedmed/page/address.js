// What the page's address keeps, so that a reload, the back button and a link bring it back: the
// tab, the example, whose heat map. A visitor's own file is kept in the browser, until it is closed.
Object.assign(window.fedmed, (() => {
  const own = new Map(); // own files asked about, by the number in the history's entry
  let restoring = false;

  const tabs = () => [...document.querySelectorAll('[role="tab"]')];
  const tabName = (tab) => tab.textContent.trim();

  // `changes`: {tab, example, map}; null takes one out. What is not worth a step back replaces.
  function remember(changes, { step = true, file = null } = {}) {
    if (restoring) return;
    const kept = new URLSearchParams(location.hash.slice(1));
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) kept.delete(name);
      else kept.set(name, value);
    }
    const state = file ? { own: own.size } : changes.example === undefined ? history.state : null;
    if (file) own.set(own.size, file);
    const address = location.pathname + location.search + (kept.size ? `#${kept}` : "");
    if (!file && address === location.pathname + location.search + location.hash) return;
    history[step ? "pushState" : "replaceState"](state, "", address);
  }

  function restore() {
    const kept = new URLSearchParams(location.hash.slice(1));
    restoring = true;
    const wanted = kept.get("tab") ?? "Compare";
    const tab = tabs().find((one) => tabName(one) === wanted);
    if (tab && tab.getAttribute("aria-selected") !== "true") tab.click();
    if (kept.has("map")) window.fedmed.choose(kept.get("map"));
    const file = own.get(history.state?.own);
    if (file && file !== window.fedmed.asked().file) window.fedmed.take([file]);
    if (!file) window.fedmed.askExample(Number(kept.get("example") ?? 1) - 1);
    restoring = false;
  }

  window.addEventListener("popstate", restore);
  document.addEventListener("click", (event) => {
    const tab = event.target.closest?.('[role="tab"]');
    if (tab) remember({ tab: tabName(tab) === "Compare" ? null : tabName(tab) });
  });

  return { remember, restore };
})());
