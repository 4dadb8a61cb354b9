"use strict";
(() => {
  const packed = document.getElementById("packed");
  const small = 1 << 20; // characters: so much is unpacked before anybody asks
  let unpacking = null;
  let contents = null;

  // Pictures and consoles, unpacked once.
  const unpack = () => {
    unpacking ??= (async () => {
      const bytes = Uint8Array.from(atob(packed.textContent), (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
      contents = await new Response(stream).json();
    })();
    return unpacking;
  };

  // Puts them into a run; at once, if they are unpacked by now.
  const put = (run) => {
    if (!contents) return;
    for (const place of run.querySelectorAll("[data-picture], [data-console]")) {
      if (place.dataset.picture !== undefined) {
        place.innerHTML = contents.pictures[place.dataset.picture];
        delete place.dataset.picture;
      } else {
        place.textContent = contents.consoles[place.dataset.console];
        delete place.dataset.console;
      }
    }
  };

  const runs = [...document.querySelectorAll(".run")];
  for (const run of runs) {
    run.addEventListener("toggle", async () => {
      if (!packed || !run.open) return;
      await unpack();
      put(run);
    });
  }
  if (packed && packed.textContent.length < small) {
    (window.requestIdleCallback ?? setTimeout)(unpack);
  }

  // A link to a run opens it, each time it is followed.
  const follow = (hash) => {
    let name = hash.slice(1);
    try {
      name = decodeURIComponent(name);
    } catch {
      // Not encoded as it should be: taken as it is.
    }
    const target = document.getElementById(name);
    if (target?.matches(".run")) {
      target.hidden = false;
      target.open = true;
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", () => follow(location.hash));
  follow(location.hash);

  // What is known of an event, decoded, beside the pointer or the focus. A click, or Enter, pins it there,
  // so that it can be scrolled and copied; another, or Escape, lets it go.
  const tip = document.getElementById("tip");
  let told = null;
  let pinned = false;
  const show = (row) => {
    const title = row.querySelector("title");
    if (title) {
      row.dataset.tip = title.textContent;
      title.remove();
    }
    told?.removeAttribute("aria-describedby");
    told = row;
    told.setAttribute("aria-describedby", "tip");
    tip.textContent = row.dataset.tip;
    tip.hidden = false;
    tip.scrollTop = 0;
    const box = row.querySelector(".label").getBoundingClientRect();
    const room = innerHeight - box.bottom;
    const above = tip.offsetHeight > room - 16 && box.top > room;
    const left = Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 12);
    tip.style.left = `${Math.max(8, left) + scrollX}px`;
    tip.style.top = `${above ? box.top + scrollY - tip.offsetHeight - 12 : box.bottom + scrollY + 26}px`;
  };
  const hold = (on) => {
    pinned = on;
    tip.classList.toggle("pinned", on);
    tip.setAttribute("role", on ? "dialog" : "tooltip");
    if (on) tip.setAttribute("aria-label", "details of the event");
    else tip.removeAttribute("aria-label");
  };
  const hide = () => {
    hold(false);
    tip.hidden = true;
    told?.removeAttribute("aria-describedby");
    told = null;
  };
  const pin = (row) => {
    show(row);
    hold(true);
  };
  const rowOf = (event) => event.target.closest?.(".seq .row");
  addEventListener("mouseover", (event) => {
    if (pinned) return;
    const row = rowOf(event);
    if (row) show(row);
    else hide();
  });
  addEventListener("focusin", (event) => {
    if (tip.contains(event.target)) return;
    const row = rowOf(event);
    if (pinned && row === told) return;
    hold(false);
    if (row) show(row);
    else hide();
  });
  addEventListener("click", (event) => {
    const row = rowOf(event);
    if (row && !(pinned && row === told)) pin(row);
    else if (pinned && !tip.contains(event.target)) hide();
    const link = event.target.closest?.('a[href^="#"]');
    if (link) follow(link.hash);
  });
  addEventListener("keydown", (event) => {
    const row = rowOf(event);
    if (row && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      pin(row);
      tip.focus();
    } else if (event.key === "Escape") {
      if (pinned) told?.focus();
      hide();
    }
  });

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

  // On paper, what has to be looked at is open, with its story and its picture; afterwards it is as it was.
  const opened = [];
  const open = (details) => {
    if (details.open) return;
    details.open = true;
    opened.push(details);
  };
  addEventListener("beforeprint", () => {
    for (const run of runs) {
      if (["fail", "error", "unknown"].includes(run.dataset.kind)) {
        open(run);
        run.querySelectorAll(".story").forEach(open);
      }
      if (run.open) put(run);
    }
  });
  addEventListener("afterprint", () => {
    for (const details of opened.splice(0)) details.open = false;
  });

  // All that is listed, for whoever wants it all on paper: a large page is not unpacked by itself.
  document.getElementById("prepare").addEventListener("click", async () => {
    if (packed) await unpack();
    const listed = runs.filter((run) => !run.hidden);
    for (const run of listed) {
      put(run);
      run.open = true;
      run.querySelectorAll("details").forEach((one) => { one.open = true; });
    }
    found.textContent = `${listed.length} ${listed.length === 1 ? "run is" : "runs are"} ready to be printed`;
  });
})();
