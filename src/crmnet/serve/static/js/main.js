// Starts the page: models, limits, tabs, theme, and the four tabs themselves.

import { request } from "./api.js";
import { connectBatch } from "./batch.js";
import { connectDesign } from "./design.js";
import { byId, html } from "./dom.js";
import { showModels } from "./models.js";
import { connectPromoters } from "./promoter.js";
import { connectTabs } from "./tabs.js";
import { connectTheme } from "./theme.js";

connectTheme(byId("theme"));
start().catch((error) => {
  byId("promoters-problem").textContent = error.message;
});

async function start() {
  const [models, limits, examples] = await Promise.all([request("/models"), request("/limits"), request("/examples")]);
  const context = makeContext(models, limits, examples.promoters);
  const tabs = connectTabs(document.querySelector("[role=tablist]"));
  const promoter = connectPromoters(context, tabs);
  const batch = connectBatch(context, (one) => {
    promoter.open(one);
    tabs.select("promoter");
  });
  promoter.onMany = (text) => {
    tabs.select("batch");
    batch.use(text);
  };
  connectDesign(context, promoter, tabs);
  showModels(byId("models"), models);
  promoter.readAddress();
  document.documentElement.dataset.ready = "true";
}

/** What all tabs share: the chosen model, its media, and whom to tell when it changes. */
function makeContext({ models, default: first }, limits, examples) {
  const select = byId("model");
  select.append(...models.map(({ name, about }) => html("option", { value: name, title: about }, name)));
  select.value = first;
  const listeners = [];
  select.addEventListener("change", () => listeners.forEach((listener) => listener()));
  return {
    models, limits, examples,
    get model() {
      return models.find(({ name }) => name === select.value);
    },
    choose(name) {
      if (name && name !== select.value && models.some((model) => model.name === name)) select.value = name;
    },
    onModel: (listener) => listeners.push(listener),
  };
}
