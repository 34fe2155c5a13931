// Files that the browser writes: tables and figures.

const INHERITED = ["fill", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap", "stroke-linejoin",
  "stroke-dasharray", "font-size", "font-family", "font-weight", "text-anchor", "opacity"];

export function save(name, content, type) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Text of a table. A field that a spreadsheet would read as a formula gets a leading apostrophe. */
export function tableText(head, rows, separator) {
  const field = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    const safe = (/^[=+\-@]/.test(value) ? `'${value}` : value).replace(/[\t\r\n]+/g, " ");
    return separator === "," && /[",]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [head, ...rows].map((row) => row.map(field).join(separator)).join("\n") + "\n";
}

/** The SVG of a figure with the colours that it has now, so that it stands alone. */
export function svgText(figure) {
  const copy = figure.cloneNode(true);
  const from = [figure, ...figure.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((node, index) => {
    const style = getComputedStyle(from[index]);
    for (const name of INHERITED) node.setAttribute(name, plain(name, style.getPropertyValue(name)));
    node.removeAttribute("class");
    node.removeAttribute("style");
  });
  const { width, height } = figure.getBoundingClientRect();
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  ground.setAttribute("width", "100%");
  ground.setAttribute("height", "100%");
  ground.setAttribute("fill", getComputedStyle(figure.closest(".card")).backgroundColor);
  copy.prepend(ground);
  return new XMLSerializer().serializeToString(copy);
}

/** Colours such as oklab(…) as rgb(…), which every program reads. */
function plain(name, value) {
  if (!["fill", "stroke"].includes(name) || !/^(oklab|oklch|color)\(/.test(value)) return value;
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = value;
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return `rgb(${red}, ${green}, ${blue})`;
}

export function saveSvg(figure, name) {
  save(`${name}.svg`, svgText(figure), "image/svg+xml");
}

export async function savePng(figure, name, scale = 2) {
  const { width, height } = figure.getBoundingClientRect();
  const address = URL.createObjectURL(new Blob([svgText(figure)], { type: "image/svg+xml" }));
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(address);
  canvas.toBlob((blob) => save(`${name}.png`, blob));
}
