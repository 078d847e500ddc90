// Before anything is painted: the theme that the reader has chosen on this machine, if any.
try {
  const chosen = localStorage.getItem("hub.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; the system's theme it is then.
}
