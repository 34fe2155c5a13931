// A text area that also takes a dropped or opened file.

import { byId } from "./dom.js";

const LARGEST = 64 * 2 ** 20; // bytes of a file

/** Calls `use(text)` after a paste, a drop, the choice of a file, or a pause in typing.
 *  Returns a function that drops the call which waits for the pause: for a button that uses the text at once. */
export function connectIntake({ area, button, input, problem, use }) {
  const card = area.closest(".card");
  const read = async (file) => {
    if (!file) return;
    if (file.size > LARGEST) {
      problem(`${file.name} has more than 64 MiB. Use crmnet predict on the command line for it.`);
      return;
    }
    area.value = await file.text();
    use(area.value);
  };
  let waiting;
  area.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => use(area.value), 250);
  });
  area.addEventListener("paste", () => setTimeout(() => {
    clearTimeout(waiting);
    use(area.value);
  }));
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    read(input.files[0]);
    input.value = "";
  });
  card.addEventListener("dragover", (event) => {
    event.preventDefault();
    card.classList.add("over");
  });
  card.addEventListener("dragleave", () => card.classList.remove("over"));
  card.addEventListener("drop", (event) => {
    event.preventDefault();
    card.classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (file) read(file);
    else {
      area.value = event.dataTransfer.getData("text/plain");
      use(area.value);
    }
  });
  return () => clearTimeout(waiting);
}

/** Shows a problem beneath a field; an empty text removes it. */
export function showProblem(id, area, text) {
  byId(id).textContent = text;
  if (text) area.setAttribute("aria-invalid", "true");
  else area.removeAttribute("aria-invalid");
}
