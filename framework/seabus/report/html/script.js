// Without this the page is complete; with it, runs can be chosen by verdict and by words.
"use strict";
const runs = [...document.querySelectorAll("#runs > .run")];
const words = runs.map((run) => run.querySelector("summary").textContent.toLowerCase());
const filter = document.getElementById("filter");
const buttons = [...document.querySelectorAll("button[data-verdict]")];

function show() {
  const wanted = filter.value.toLowerCase().split(/\s+/);
  const off = new Set(buttons.filter((one) => one.ariaPressed === "false").map((one) => one.dataset.verdict));
  runs.forEach((run, number) => {
    const verdict = run.classList[1];
    run.hidden = off.has(verdict) || !wanted.every((word) => words[number].includes(word));
  });
}

function reveal() {
  const run = location.hash.startsWith("#run-") && document.getElementById(location.hash.slice(1));
  if (run) { run.hidden = false; run.open = true; run.scrollIntoView(); }
}

filter.addEventListener("input", show);
for (const button of buttons) {
  button.ariaPressed = "true";
  button.addEventListener("click", () => {
    button.ariaPressed = button.ariaPressed === "true" ? "false" : "true";
    show();
  });
}
document.getElementById("open").addEventListener("click", () => {
  for (const run of runs) if (!run.hidden) run.open = true;
});
addEventListener("hashchange", reveal);
reveal();
