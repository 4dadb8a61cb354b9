"use strict";
(() => {
  const packed = document.getElementById("packed");
  let unpacking = null;

  // Pictures and consoles, unpacked once, when the first is asked for.
  const unpacked = () => {
    unpacking ??= (async () => {
      const bytes = Uint8Array.from(atob(packed.textContent), (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
      return new Response(stream).json();
    })();
    return unpacking;
  };

  const fill = async (run) => {
    if (!packed) return;
    const places = run.querySelectorAll("[data-picture], [data-console]");
    if (!places.length) return;
    const { pictures, consoles } = await unpacked();
    for (const place of places) {
      if (place.dataset.picture !== undefined) {
        place.innerHTML = pictures[place.dataset.picture];
        delete place.dataset.picture;
      } else {
        place.textContent = consoles[place.dataset.console];
        delete place.dataset.console;
      }
    }
  };

  const runs = [...document.querySelectorAll(".run")];
  for (const run of runs) {
    run.addEventListener("toggle", () => run.open && fill(run));
  }

  // A link to a run opens it.
  const follow = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target?.matches(".run")) {
      target.hidden = false;
      target.open = true;
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", follow);
  follow();

  // What is known of an event, decoded, beside the pointer or the focus.
  const tip = document.getElementById("tip");
  const show = (row) => {
    const title = row.querySelector("title");
    if (title) {
      row.dataset.tip = title.textContent;
      row.setAttribute("aria-label", title.textContent.split("\n", 1)[0]);
      title.remove();
    }
    tip.textContent = row.dataset.tip;
    tip.hidden = false;
    const box = row.querySelector(".label").getBoundingClientRect();
    const room = innerHeight - box.bottom;
    const above = tip.offsetHeight > room - 16 && box.top > room;
    const left = Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 12);
    tip.style.left = `${Math.max(8, left) + scrollX}px`;
    tip.style.top = `${above ? box.top + scrollY - tip.offsetHeight - 12 : box.bottom + scrollY + 26}px`;
  };
  const rowOf = (event) => event.target.closest?.(".seq .row");
  const hide = () => { tip.hidden = true; };
  addEventListener("mouseover", (event) => { const row = rowOf(event); if (row) show(row); else hide(); });
  addEventListener("focusin", (event) => { const row = rowOf(event); if (row) show(row); else hide(); });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  // Finding runs.
  const form = document.getElementById("filter");
  const find = document.getElementById("find");
  const found = document.getElementById("found");
  const texts = new Map();
  const sift = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kinds = new Set(new FormData(form).getAll("kind"));
    let count = 0;
    for (const run of runs) {
      if (words.length && !texts.has(run)) texts.set(run, run.textContent.toLowerCase());
      run.hidden = !(kinds.has(run.dataset.kind) && words.every((word) => texts.get(run).includes(word)));
      count += !run.hidden;
    }
    found.textContent = count === runs.length ? "" : `${count} of ${runs.length}`;
  };
  if (runs.length > 1) {
    form.hidden = false;
    form.addEventListener("input", sift);
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  // On paper, what has to be looked at is open.
  addEventListener("beforeprint", () => {
    for (const run of runs) {
      if (["fail", "error", "unknown"].includes(run.dataset.kind)) run.open = true;
    }
  });
})();
