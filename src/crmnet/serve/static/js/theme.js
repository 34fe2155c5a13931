// Light and dark: the system's choice until the user presses the button.

const KEY = "crmnet-theme";

export function connectTheme(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = localStorage.getItem(KEY);
  if (stored) document.documentElement.dataset.theme = stored;
  const dark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const show = () => {
    button.textContent = dark() ? "Light colours" : "Dark colours";
  };
  button.addEventListener("click", () => {
    const chosen = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    localStorage.setItem(KEY, chosen);
    show();
  });
  system.addEventListener("change", show);
  show();
}
