# SPDX-License-Identifier: Apache-2.0
"""The page in a browser: it opens from disk, complains of nothing, and does what it says."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seabus.patience import scale
from seabus.report import html
from seabus.report.loaded import Runs, load
from tests.report.chromium import Chromium, program
from tests.report.conftest import ACCEPT, HERE
from tests.report.pixels import Picture
from tests.report.test_page import evil_everywhere

pytestmark = pytest.mark.skipif(program() is None, reason="there is no Chromium: apt-get install chromium")
#: Seconds in which a page of 500 runs must be there.
LONGEST = 2.0


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium.started(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.fixture(autouse=True)
def quiet(browser: Chromium) -> Iterator[None]:
    """Whatever a test did: no error, no warning, and nothing was asked of anybody."""
    browser.said.clear()
    browser.asked.clear()
    browser.show_as()
    yield
    assert browser.said == []
    assert all(address.startswith("file://") for address in browser.asked)
    assert len({address.partition("#")[0] for address in browser.asked}) == 1  # the page itself


@pytest.fixture
def shown(browser: Chromium, tmp_path: Path) -> Callable[..., float]:
    """Opens the page of these runs; the seconds that took, at best of three times."""

    def show(runs: Runs, fragment: str = "", title: str = "Seabus report") -> float:
        path = tmp_path / "report.html"
        path.write_text(html.page(runs, title=title))
        times = 1 if fragment else 3
        return min(browser.open(f"{path.as_uri()}{fragment}") for _ in range(times))

    return show


def thrice(samples: Runs) -> Runs:
    """So many that their pictures are packed."""
    return Runs(runs=[*samples.runs] * 3)


def test_it_opens_and_complains_of_nothing(
    browser: Chromium, shown: Callable[..., float], samples: Runs
) -> None:
    shown(samples)
    assert browser.run("document.title") == "Seabus report"
    assert browser.run("document.querySelectorAll('.run').length") == len(samples.runs)
    assert browser.run("document.querySelectorAll('.heat a').length") == len(samples.runs)


def test_five_hundred_runs_are_there_at_once(
    browser: Chromium, shown: Callable[..., float], many: Path
) -> None:
    runs = load([many])
    assert shown(runs) < LONGEST * scale()
    drawn = browser.run(
        """(async () => {
            const begun = performance.now(), run = document.getElementById("r77");
            run.open = true;
            while (!run.querySelector(".seq")) await new Promise(requestAnimationFrame);
            return performance.now() - begun;
        })()"""
    )
    assert drawn < 1000 * LONGEST * scale()


def test_every_link_opens_what_it_names(
    browser: Chromium, shown: Callable[..., float], samples: Runs
) -> None:
    runs = thrice(samples)
    shown(runs)
    found = browser.run(
        """(async () => {
            const failed = [];
            const links = [...document.querySelectorAll("a[href]")];
            for (const link of links) {
                link.click();
                const target = document.querySelector(link.getAttribute("href"));
                for (let n = 0; n < 50 && target.matches(".run") && !target.open; n++)
                    await new Promise(done => setTimeout(done, 20));
                const box = target.getBoundingClientRect();
                if (target.matches(".run") && !target.open) failed.push(link.href + " stays closed");
                else if (box.top < -2 || box.top > innerHeight) failed.push(link.href + " is not in sight");
            }
            return [links.length, failed];
        })()"""
    )
    assert found == [len(runs.runs) + 1, []]


def test_a_link_opens_its_run_again(browser: Chromium, shown: Callable[..., float], samples: Runs) -> None:
    shown(thrice(samples))
    click = "document.querySelector('.heat a[href=\"#r3\"]').click(), document.getElementById('r3').open"
    assert browser.run(click) is True
    browser.run("document.getElementById('r3').open = false")
    assert browser.run(click) is True


@pytest.mark.parametrize("fragment", ["#%", "#%E0%A4%A", "#r99999", "#tip"])
def test_a_link_to_nothing_does_nothing(
    fragment: str, browser: Chromium, shown: Callable[..., float], samples: Runs
) -> None:
    shown(samples, fragment)
    assert browser.run("document.querySelectorAll('.run[open]').length") == 0
    browser.run("document.querySelector('.heat a').click()")
    assert browser.run("document.querySelectorAll('.run[open]').length") == 1


def test_a_link_from_outside_opens_its_run(
    browser: Chromium, shown: Callable[..., float], samples: Runs
) -> None:
    shown(thrice(samples), "#r2")
    wait_for(browser, "document.querySelector('#r2[open] .seq')")
    assert browser.run("document.querySelectorAll('.run[open]').length") == 1


def test_pictures_and_consoles_are_unpacked_when_asked_for(
    browser: Chromium, shown: Callable[..., float], changed: Callable[..., Path], samples: Runs
) -> None:
    folder = changed("negative", lambda told: told)
    (folder / "console-l1.log").write_text("the host's <last> words")
    shown(Runs(runs=[*load([folder]).runs, *thrice(samples).runs]))
    assert browser.run("document.querySelectorAll('.seq').length") == 0
    browser.run("document.querySelectorAll('.run').forEach(run => run.open = true)")
    wait_for(browser, "!document.querySelector('[data-picture], [data-console]')")
    assert browser.run("document.querySelectorAll('.seq').length") == 22
    assert browser.run("document.querySelector('.console pre').textContent") == "the host's <last> words"


def test_an_event_is_decoded_beside_the_focus(
    browser: Chromium, shown: Callable[..., float], samples: Runs
) -> None:
    shown(Runs(runs=[run for run in samples.runs if run.folder.name == "consumed"]))
    browser.run(
        """[...document.querySelectorAll(".seq .row")]
            .find(row => row.textContent.includes("SEA taken")).focus()"""
    )
    tip = browser.run("const tip = document.getElementById('tip'); tip.hidden ? '' : tip.textContent")
    assert "DFSC 0x10: synchronous external abort" in tip
    box = browser.run("JSON.parse(JSON.stringify(tip.getBoundingClientRect()))")
    assert box["left"] >= 0
    assert box["right"] <= browser.run("innerWidth")
    browser.do("Input.dispatchKeyEvent", type="keyDown", key="Escape", code="Escape")
    assert browser.run("tip.hidden")
    label = "document.querySelector('.seq .row text.label').getBoundingClientRect()"
    place = browser.run(f"scrollTo(0, 0), JSON.parse(JSON.stringify({label}))")
    browser.do("Input.dispatchMouseEvent", type="mouseMoved", x=place["x"] + 5, y=place["y"] + 5)
    wait_for(browser, "!document.getElementById('tip').hidden")
    assert "multi-bit ECC" in browser.run("document.getElementById('tip').textContent")


LONG = "[...document.querySelectorAll('.seq .row')].find(row => row.textContent.includes('memory-record'))"
TIP = "document.getElementById('tip')"
#: Whether the last line of the tip can be seen, once it is scrolled to its end.
ENDS_IN_SIGHT = f"""(() => {{
    const tip = {TIP};
    tip.scrollTop = 1e6;
    const isAtEnd = tip.scrollTop + tip.clientHeight >= tip.scrollHeight - 1;
    return isAtEnd && getComputedStyle(tip).overflowY === "auto";
}})()"""


def press(browser: Chromium, key: str, text: str = "") -> None:
    """A key, as a keyboard gives it."""
    for kind in ("keyDown", "keyUp"):
        more = {"text": text} if text and kind == "keyDown" else {}
        browser.do("Input.dispatchKeyEvent", type=kind, key=key, code=key, **more)


def test_a_long_record_can_be_read_to_its_end(
    browser: Chromium, shown: Callable[..., float], samples: Runs
) -> None:
    shown(Runs(runs=[run for run in samples.runs if run.folder.name == "consumed"]))
    browser.do(
        "Emulation.setDeviceMetricsOverride", width=1280, height=400, deviceScaleFactor=1, mobile=False
    )
    try:
        browser.run(f"{LONG}.focus()")
        assert browser.run(f"{TIP}.scrollHeight > {TIP}.clientHeight")
        press(browser, "Enter", "\r")
        assert browser.run(f"document.activeElement === {TIP}")
        assert browser.run(ENDS_IN_SIGHT)
        assert browser.run(f"getComputedStyle({TIP}).pointerEvents") == "auto"
        press(browser, "Escape")
        assert browser.run(f"{TIP}.hidden && document.activeElement === {LONG}")
    finally:
        browser.do(
            "Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False
        )


def click(browser: Chromium, element: str) -> None:
    """With a mouse that moves there."""
    box = browser.run(f"JSON.parse(JSON.stringify({element}.getBoundingClientRect()))")
    at = {"x": box["x"] + 5, "y": box["y"] + 5}
    browser.do("Input.dispatchMouseEvent", type="mouseMoved", **at)
    for kind in ("mousePressed", "mouseReleased"):
        browser.do("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)


def test_a_click_keeps_the_details_open(
    browser: Chromium, shown: Callable[..., float], samples: Runs
) -> None:
    shown(Runs(runs=[run for run in samples.runs if run.folder.name == "consumed"]))
    browser.run("scrollTo(0, 0)")
    click(browser, f"{LONG}.querySelector('.label')")
    assert browser.run(f"{TIP}.matches('.pinned:not([hidden])')")
    browser.do("Input.dispatchMouseEvent", type="mouseMoved", x=600, y=10)  # beside every row
    assert browser.run(f"{TIP}.hidden") is False
    assert "multi-bit ECC" in browser.run(f"{TIP}.textContent")
    click(browser, "document.querySelector('h1')")
    assert browser.run(f"{TIP}.hidden")
    assert browser.run(f"{TIP}.getAttribute('role')") == "tooltip"


def test_an_event_is_described_by_what_is_shown(
    browser: Chromium, shown: Callable[..., float], samples: Runs
) -> None:
    shown(Runs(runs=[run for run in samples.runs if run.folder.name == "consumed"]))
    browser.run(f"{LONG}.focus()")
    nodes = browser.do("Accessibility.getFullAXTree")["nodes"]
    (focused,) = (node for node in nodes if property_of(node, "focused"))
    assert focused["role"]["value"] == "listitem"
    assert focused["name"]["value"].startswith("0.0 ms, L0 firmware, memory-record: recoverable")
    assert "multi-bit ECC" in focused["description"]["value"]
    browser.run("document.activeElement.blur(), document.querySelector('summary').focus()")
    assert browser.run("document.querySelectorAll('[aria-describedby]').length") == 0


def property_of(node: dict[str, Any], name: str) -> object:
    """Of a node of the accessibility tree."""
    if node["role"]["value"] == "RootWebArea":
        return None
    return next((one["value"]["value"] for one in node.get("properties", ()) if one["name"] == name), None)


def test_runs_are_found(browser: Chromium, shown: Callable[..., float], samples: Runs) -> None:
    shown(samples)
    sift = "document.getElementById('find').value = {!r};"
    typed = "document.getElementById('filter').dispatchEvent(new Event('input'))"
    left = "[...document.querySelectorAll('.run')].filter(run => !run.hidden).length"
    browser.run(sift.format("fatal host") + typed)
    assert browser.run(left) == 1
    assert browser.run("document.getElementById('found').textContent") == f"1 of {len(samples.runs)}"
    browser.run(sift.format("") + "document.querySelector('[name=kind][value=pass]').click()")
    assert browser.run(left) == sum(str(run.kind) != "pass" for run in samples.runs)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_words_can_be_read(
    dark: bool, browser: Chromium, shown: Callable[..., float], samples: Runs, tmp_path: Path
) -> None:
    """Each text stands out against what lies behind it: 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    browser.show_as(dark=dark)
    shown(samples)
    browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    faint = browser.run(CONTRAST)
    assert faint == []
    assert browser.picture(tmp_path / "page.png").stat().st_size > 20_000


#: Each way in which the page is looked at: width, height, dark, on paper, and a script that has it shown.
LOOKS = {
    "light": (1280, 900, False, False, "scrollTo(0, 0)"),
    "dark": (1280, 900, True, False, "scrollTo(0, 0)"),
    "picture": (1280, 900, False, False, "open_first()"),
    "picture-dark": (1280, 900, True, False, "open_first()"),
    "print": (760, 1080, False, True, "dispatchEvent(new Event('beforeprint')), scrollTo(0, 0)"),
    "narrow": (400, 800, False, False, "scrollTo(0, 0)"),
    "narrow-picture": (400, 800, False, False, "open_first()"),
}
OPEN_FIRST = "const first = document.querySelector('.run'); first.open = true; first.scrollIntoView()"
#: Cells of a look that may differ from those that were looked at: fonts are not the same everywhere.
MOST_DIFFER = 0.12


@pytest.mark.parametrize("name", LOOKS)
def test_it_looks_as_it_was_looked_at(
    name: str, browser: Chromium, shown: Callable[..., float], samples: Runs, tmp_path: Path
) -> None:
    """What is drawn and what is blank lies where it lay; the screenshots are kept for whoever looks again.

    ``SEABUS_SCREENSHOTS=DIR`` keeps them there, in full; ``SEABUS_ACCEPT_GOLDEN=1`` writes what is compared.
    """
    width, height, dark, paper, script = LOOKS[name]
    browser.do(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
    )
    try:
        browser.show_as(dark=dark, paper=paper)
        shown(samples, "#")
        browser.run(f"(() => {{ {script.replace('open_first()', OPEN_FIRST)} }})()")
        browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        picture = Picture(browser.small_picture(tmp_path / f"{name}-small.png", width=width, height=height))
        kept = os.environ.get("SEABUS_SCREENSHOTS")
        browser.picture((Path(kept) if kept else tmp_path) / f"{name}.png")
    finally:
        browser.do(
            "Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False
        )
    assert (max(picture.ground()) < 60) if dark else (min(picture.ground()) > 230)
    told = "\n".join(picture.map()) + "\n"
    golden = HERE / "golden" / f"page-{name}.map"
    if os.environ.get(ACCEPT):
        golden.write_text(told)
    assert difference(told, golden.read_text()) <= MOST_DIFFER, f"\n{told}"
    assert difference(told, told.replace("#", ".")) > MOST_DIFFER  # a blank page is found


def difference(one: str, other: str) -> float:
    """The part of the cells that are not alike."""
    assert len(one) == len(other)
    return sum(a != b for a, b in zip(one, other, strict=True)) / len(one)


#: The texts that do not stand out, each with its contrast. Washes lie over the page's ground.
CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const over = (top, below) => {
    const part = top[3] / 255;
    return [0, 1, 2].map(n => top[n] * part + below[n] * (1 - part)).concat(255);
  };
  const light = (c) => {
    const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  };
  const ground = (one) => {
    const layers = [];
    for (let at = one; at; at = at.parentElement)
      layers.push(rgba(at instanceof SVGElement ? "transparent" : getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 255]);
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !one.getClientRects().length) continue;
    if (one.closest("script, style, title, .aloud, .sign")) continue;
    const style = getComputedStyle(one);
    const below = ground(one);
    const colour = over(rgba(one instanceof SVGElement ? style.fill : style.color), below);
    const [a, b] = [light(colour), light(below)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(`${walker.currentNode.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(faint)];
})()
"""


def test_everything_has_a_name_for_who_cannot_see_it(
    browser: Chromium, shown: Callable[..., float], samples: Runs
) -> None:
    shown(samples)
    browser.run("document.querySelectorAll('.run').forEach(run => run.open = true)")
    roles: dict[str, list[str]] = {}
    for node in browser.do("Accessibility.getFullAXTree")["nodes"]:
        if not node.get("ignored"):
            roles.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    drawn = browser.run("document.querySelectorAll('.seq .row').length")
    assert sum(bool(re.search(r"\bL[012] \w+, ", name)) for name in roles["listitem"]) == drawn
    for role in (
        "link",
        "checkbox",
        "searchbox",
        "image",
        "heading",
        "DisclosureTriangle",
        "table",
        "button",
    ):
        assert all(roles.get(role, [""])), f"a {role} has no name: {roles.get(role)}"
    assert len(roles["main"]) == 1
    assert browser.run("document.documentElement.lang") == "en"


def test_it_can_be_printed(browser: Chromium, shown: Callable[..., float], samples: Runs) -> None:
    shown(samples)
    browser.show_as(dark=True, paper=True)
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("document.getElementById('filter').checkVisibility()") is False
    assert browser.printed().startswith(b"%PDF-")
    assert browser.run("document.querySelectorAll('.run[open]').length") == 0  # as it was before
    browser.run("dispatchEvent(new Event('beforeprint'))")
    opened = browser.run("[...document.querySelectorAll('.run[open]')].map(run => run.dataset.kind)")
    assert opened == ["fail", "fail", "error"]


#: What is on paper of each run that is open: its kind, its picture's labels, and how long its story is.
ON_PAPER = """[...document.querySelectorAll(".run[open]")].map(run => [
    run.dataset.kind,
    [...run.querySelectorAll(".seq .label")].map(one => one.textContent),
    run.querySelector(".story")?.open ? run.querySelector(".story pre").textContent.length : 0,
])"""


def test_failures_are_printed_with_their_pictures_and_stories(
    browser: Chromium, shown: Callable[..., float], samples: Runs
) -> None:
    shown(thrice(samples))
    wait_for(browser, "window.requestIdleCallback")
    browser.run("new Promise(done => requestIdleCallback(() => setTimeout(done, 300)))")
    browser.run(f"addEventListener('beforeprint', () => {{ window.onPaper = {ON_PAPER}; }})")
    assert browser.printed().startswith(b"%PDF-")
    printed = browser.run("window.onPaper")
    assert [kind for kind, _, _ in printed] == ["fail"] * 6 + ["error"] * 3
    for kind, labels, story in printed:
        if kind == "fail":
            assert len(labels) > 3
            assert story > 100
    assert "missing: host-record" in printed[0][1]
    wait_for(browser, "!document.querySelector('.run[open]')")


def test_all_can_be_prepared_for_paper(browser: Chromium, shown: Callable[..., float], many: Path) -> None:
    """A large page is not unpacked by itself; what the filter leaves is, when it is asked for."""
    shown(load([many]))
    assert browser.run("document.querySelectorAll('.seq').length") == 0
    browser.run("document.querySelectorAll('[name=kind]:not([value=fail])').forEach(one => one.click())")
    browser.run("document.getElementById('prepare').click()")
    wait_for(browser, "document.getElementById('found').textContent === '50 runs are ready to be printed'")
    printed = browser.run(ON_PAPER)
    assert len(printed) == 50
    assert all(len(labels) > 3 and story > 100 for _, labels, story in printed)


def test_it_fits_a_small_screen(browser: Chromium, shown: Callable[..., float], samples: Runs) -> None:
    browser.do("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=False)
    try:
        shown(samples)
        assert browser.run("document.documentElement.scrollWidth") <= 400
    finally:
        browser.do(
            "Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False
        )


def test_words_of_a_guest_do_nothing(
    browser: Chromium, shown: Callable[..., float], changed: Callable[..., Path]
) -> None:
    folder = changed("known", evil_everywhere)
    said = "</pre></script><script>alert(1)</script><img src=x onerror=alert(1)>"
    (folder / "console-l1.log").write_text(said)
    runs = load([folder])
    for shown_runs in (runs, Runs(runs=[*runs.runs] * 20)):
        shown(shown_runs, title="</title><script>alert(3)</script>")
        browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        wait_for(browser, "!document.querySelector('[data-picture], [data-console]')")
        assert browser.run("document.querySelectorAll('img').length") == 0
        assert browser.run("document.title").startswith("</title><script>")


def test_what_is_not_ours_is_not_obeyed(browser: Chromium, tmp_path: Path, samples: Runs) -> None:
    """Were something to slip through, the page's policy would hold it: the check itself is checked here."""
    spoilt = html.page(samples).replace("<main>", "<main><script>document.title = 'taken'</script>")
    (tmp_path / "spoilt.html").write_text(spoilt)
    browser.open((tmp_path / "spoilt.html").as_uri())
    assert browser.run("document.title") == "Seabus report"
    assert any("Content Security Policy" in line for line in browser.said)
    browser.said.clear()


def wait_for(browser: Chromium, what: str) -> Any:  # noqa: ANN401 - whatever is waited for
    """Until an expression of the page is true."""
    frames = int(600 * scale())
    return browser.run(
        f"""(async () => {{
            for (let n = 0; n < {frames} && !({what}); n++) await new Promise(done => setTimeout(done, 10));
            if (!({what})) throw new Error("never: " + {what!r});
        }})()"""
    )
