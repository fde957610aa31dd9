// The lab's curve as a PNG that needs no page around it: drawn as it is here, with the names of the
// runs below. `runs`: {kind, text} of each, `kind` the class that colours its line.
fedmedLab.picture = (host, runs, save) => {
  const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity", "font-size", "font-family", "font-weight", "text-anchor"];
  const SHARP = 3, MARGIN = 12, LINE = 18;
  const copy = host.querySelector("svg").cloneNode(true), { height } = host.querySelector("svg").viewBox.baseVal;
  runs.forEach(({ kind, text }, i) => {
    const line = document.createElementNS(copy.namespaceURI, "text");
    line.setAttribute("class", `fm-lab-tag ${kind}`);
    line.setAttribute("x", 0);
    line.setAttribute("y", height + LINE * (i + 1));
    line.textContent = text;
    copy.append(line);
  });
  // Among the page's own, so that its style sheet applies; a picture has none, and takes them along.
  copy.style.cssText = "position: absolute; visibility: hidden";
  host.append(copy);
  for (const one of copy.querySelectorAll("*")) {
    const style = getComputedStyle(one);
    const taken = STYLES.map((key) => `${key}: ${style.getPropertyValue(key)}`);
    one.style.cssText = taken.join("; ");
  }
  const box = copy.getBBox(), width = box.width + 2 * MARGIN, tall = box.height + 2 * MARGIN;
  const ground = getComputedStyle(host).getPropertyValue("--fm-surface") || "#fff";
  copy.remove();
  copy.removeAttribute("style");
  copy.setAttribute("viewBox", `${box.x - MARGIN} ${box.y - MARGIN} ${width} ${tall}`);
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.round(SHARP * width), height: Math.round(SHARP * tall) });
  copy.setAttribute("width", canvas.width);
  copy.setAttribute("height", canvas.height);
  const image = new Image();
  image.onload = () => {
    const ink = canvas.getContext("2d");
    ink.fillStyle = ground;
    ink.fillRect(0, 0, canvas.width, canvas.height);
    ink.drawImage(image, 0, 0);
    canvas.toBlob(save);
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
};
