// The lab's settings in the page's address: those that differ from the defaults, as `rounds:5;off:2+4`.
fedmedLab.link = {
  write(difference) {
    const parts = Object.entries(difference).map(([name, value]) => `${name}:${Array.isArray(value) ? value.join("+") : value}`);
    return parts.join(";") || "run";
  },

  // What is no setting, or not of its kind, is left out; the server looks at the rest.
  read(text, defaults) {
    const found = {};
    for (const part of text.split(";")) {
      const cut = part.indexOf(":"), name = part.slice(0, cut), value = part.slice(cut + 1);
      if (!Object.hasOwn(defaults, name) || value === "null") continue;
      const like = defaults[name];
      if (Array.isArray(like)) found[name] = value.split("+").map(Number).filter((one) => one >= 1 && one <= 50);
      else if (typeof like === "boolean") found[name] = value === "true";
      else if (typeof like !== "number" && name !== "epsilon" && name !== "poisoned") found[name] = value;
      else if (Number.isFinite(Number(value))) found[name] = Number(value);
    }
    return found;
  },
};
