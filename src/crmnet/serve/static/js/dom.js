// Builds HTML and SVG. Text always becomes text nodes, so that nothing a user pastes is read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Keys of `properties`: onclick and others are listeners; true sets an empty attribute. */
export function html(tag, properties, ...children) {
  return build(document.createElement(tag), properties, children);
}

/** An SVG element; `css` sets properties of its style, such as a fill that depends on data. */
export function svg(tag, properties, ...children) {
  return build(document.createElementNS(SVG, tag), properties, children);
}

function build(node, properties, children) {
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "css") for (const [name, rule] of Object.entries(value)) node.style.setProperty(name, rule);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Tells screen readers what changed. */
export function announce(text) {
  byId("announcer").textContent = text;
}

/** A group of radio buttons that looks like a switch. Calls `choose(value)`. */
export function choiceSwitch(legend, options, chosen, choose) {
  const name = `switch-${legend}-${choiceSwitch.count++}`;
  const labels = options.map(({ value, label }) =>
    html("label", {}, html("input", {
      type: "radio", name, value, checked: value === chosen, onchange: () => choose(value),
    }), label));
  return html("fieldset", { class: "switch" }, html("legend", {}, legend), html("div", { class: "options" }, labels));
}
choiceSwitch.count = 0;

/** A closed section with the numbers of a figure; `fill` builds its content when it is first opened. */
export function tableSection(title, fill) {
  const section = html("details", {}, html("summary", {}, title));
  section.addEventListener("toggle", () => {
    if (section.open && section.children.length === 1) section.append(fill());
  });
  return section;
}

/** A table from an array of arrays; numbers are aligned to the right. The first column names the row. */
export function table(caption, head, rows) {
  const cell = (value, index) => {
    const number = typeof value === "number";
    const content = number ? value.toFixed(2) : value;
    return index === 0 ? html("th", { scope: "row" }, content) : html("td", { class: number ? "number" : null }, content);
  };
  return html("div", { class: "table", tabindex: "0", role: "region", "aria-label": caption },
    html("table", {}, html("caption", { class: "hidden-text" }, caption),
      html("thead", {}, html("tr", {}, head.map((name) => html("th", { scope: "col" }, name)))),
      html("tbody", {}, rows.map((row) => html("tr", {}, row.map(cell))))));
}

/** Replaces an element's children. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
}
