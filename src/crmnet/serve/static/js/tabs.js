// Tabs: one is in the tab order, arrow keys move between them.

/** Connects a tablist; returns {select(name), current}. Tabs have ids tab-NAME, panels panel-NAME. */
export function connectTabs(list) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const select = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
  };
  list.addEventListener("click", (event) => event.target.role === "tab" && select(event.target));
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    select(tab);
    tab.focus();
  });
  return { select: (name) => {
    select(document.getElementById(`tab-${name}`));
    window.scrollTo(0, 0);
  } };
}
