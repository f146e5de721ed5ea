"""A real browser that looks at pages as their readers do: on a phone, on a desk, on paper.

`Browser.faults` opens a file as a `Sight` has it and answers what is wrong with it, in plain words:
sideways scrolling, texts that are cut, covered, overlapping, too small or too pale, letters without
a picture, errors of the console, and what the keyboard cannot reach. Only an element of class
`scroll` may scroll sideways, and not on paper.
"""

import base64
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_SCRIPT = (Path(__file__).parent / "browser.js").read_text(encoding="utf-8")
A4_WIDTH = 695  # the page less its margins of 13 mm, at 96 dots an inch
# On a page of very many links the first ones tell whether the keyboard gets along.
_MOST_TABS = 300


class Sight(Struct, frozen=True):
    """How a page is looked at."""

    name: str
    width: int
    dark: bool = False
    printed: bool = False

    def __str__(self) -> str:
        return self.name


SIGHTS = (
    Sight("phone", 360),
    Sight("phone, dark", 360, dark=True),
    Sight("desk", 1280),
    Sight("desk, dark", 1280, dark=True),
    Sight("paper", A4_WIDTH, printed=True),
)


class Printed(Struct, frozen=True):
    """A page as the browser's own print makes it."""

    pdf: bytes

    @property
    def pages(self) -> int:
        return len(re.findall(rb"/Type\s*/Page\b", self.pdf))


class Browser:
    """Debian's Chromium without a window; the fixture `browser` opens one for all tests."""

    def __init__(self, driver: "Chrome") -> None:
        self._driver = driver

    def open(self, file: Path, sight: Sight) -> None:
        """Shows the page, all of it at once."""
        driver = self._driver
        self._console()  # what the page before said is no fault of this one
        self._metrics(sight, 900)
        self._command(
            "Emulation.setEmulatedMedia",
            media="print" if sight.printed else "screen",
            features=[{"name": "prefers-color-scheme", "value": "dark" if sight.dark else "light"}],
        )
        driver.get(file.resolve().as_uri())
        high = driver.execute_script("return document.documentElement.scrollHeight")
        self._metrics(sight, max(900, int(high)))

    def faults(self, file: Path, sight: Sight) -> list[str]:
        """All that is wrong with the page on this sight; nothing when it is well made."""
        self.open(file, sight)
        found = self.seen(sight)
        if not sight.printed:
            found += self._keyboard()
        return found + self.says()

    def seen(self, sight: Sight) -> list[str]:
        """What the eye finds wrong with the page as it stands now."""
        return [str(one) for one in self._driver.execute_script(_SCRIPT, _plain(sight))]

    def says(self) -> list[str]:
        """What the console said since it was last asked."""
        return [f"console: {entry['message']}" for entry in self._console()]

    def type(self, keys: str) -> None:
        """Presses keys, wherever the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self._driver, duration=0).send_keys(keys).perform()

    def click(self, selector: str) -> None:
        """Clicks the first element of a kind."""
        self._driver.find_element("css selector", selector).click()

    def text(self, selector: str) -> str:
        """What the first element of a kind shows."""
        return self._driver.find_element("css selector", selector).text

    @property
    def address(self) -> str:
        """Where the browser is."""
        return self._driver.current_url

    @contextmanager
    def without_scripts(self) -> Iterator[None]:
        """A browser that runs no script of the pages."""
        self._command("Emulation.setScriptExecutionDisabled", value=True)
        try:
            yield
        finally:
            self._command("Emulation.setScriptExecutionDisabled", value=False)

    def picture(self, file: Path, sight: Sight) -> bytes:
        """The whole page as a PNG."""
        self.open(file, sight)
        answer = self._command("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(str(answer["data"]))

    def printed(self, file: Path) -> Printed:
        """The page as it comes out of the printer, its own paper size and margins kept."""
        self.open(file, Sight("paper", A4_WIDTH, printed=True))
        answer = self._command("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return Printed(base64.b64decode(str(answer["data"])))

    def _console(self) -> Sequence[Mapping[str, object]]:
        """What the console said since it was last asked."""
        said: Sequence[Mapping[str, object]] = self._driver.get_log("browser")  # type: ignore[no-untyped-call]
        return said

    def _metrics(self, sight: Sight, height: int) -> None:
        # A phone lays out by the page's own viewport; without one it shows 980 px made small.
        mobile = sight.width < 500
        self._command(
            "Emulation.setDeviceMetricsOverride",
            width=sight.width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    def _command(self, command: str, **arguments: object) -> Mapping[str, object]:
        answer: Mapping[str, object] = self._driver.execute_cdp_cmd(command, arguments)
        return answer

    def _keyboard(self) -> list[str]:
        """What the tabulator does not reach, reaches out of turn or without showing it."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        stops = int(self._driver.execute_script(_STOPS))
        if not stops:
            return []
        # A few more for what scrolls, which a browser lets one reach too.
        keys = ActionChains(self._driver, duration=0)
        keys.send_keys(*[Keys.TAB] * min(2 * stops, stops + 40, _MOST_TABS)).perform()
        answer = self._driver.execute_script(_REACHED, _MOST_TABS)
        return [str(one) for one in answer]


def _plain(sight: Sight) -> dict[str, object]:
    return {"width": sight.width, "dark": sight.dark, "printed": sight.printed}


# Counts what ought to be reached, and from now on notes what is.
_STOPS = """
const all = [...document.querySelectorAll(
  "a, button, input, select, textarea, summary, [onclick], [tabindex]")];
const groups = new Set();
window.xlStops = all.filter((one) => {
  if (one.disabled || one.type === "hidden" || one.getAttribute("tabindex") === "-1" &&
      !one.matches("a[href], button, input, select, textarea, summary")) return false;
  if (one.type === "radio") {
    if (groups.has(one.name)) return false;
    groups.add(one.name);
  }
  return one.checkVisibility({ checkVisibilityCSS: true });
});
window.xlReached = [];
document.activeElement?.blur?.();
getSelection().removeAllRanges();
document.addEventListener("focusin", (event) => {
  const style = getComputedStyle(event.target);
  const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  window.xlReached.push({ element: event.target, shown: outline || style.boxShadow !== "none" });
});
return window.xlStops.length;
"""
_REACHED = """
const most = arguments[0];
const faults = [];
const told = (one) => one.tagName.toLowerCase() + " “" +
  (one.textContent || one.name || "").trim().slice(0, 24) + "”";
const reached = window.xlReached.map((one) => one.element);
const same = (a, b) => a === b || (a.type === "radio" && b.type === "radio" && a.name === b.name);
const stops = window.xlStops.slice(0, most / 2);
for (const stop of stops) {
  if (!reached.some((one) => same(one, stop))) faults.push("keyboard: never reaches " + told(stop));
}
const place = (stop) => reached.findIndex((one) => same(one, stop));
const places = stops.map(place).filter((n) => n >= 0);
places.forEach((now, n) => {
  if (n && now < places[n - 1]) faults.push("keyboard: out of turn " + told(reached[now]));
});
for (const { element, shown } of window.xlReached) {
  if (!shown && stops.includes(element)) faults.push("keyboard: does not show " + told(element));
}
return [...new Set(faults)];
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser, or a skipped test where there is none. Nothing is ever downloaded."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        lacking = "chromium" if program is None else "chromium-driver"
        pytest.skip(f"no {lacking} here: on Debian `apt install chromium chromium-driver`")
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--hide-scrollbars", "--force-color-profile=srgb"):
        options.add_argument(argument)
    options.add_argument("--disable-dev-shm-usage")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=ChromeService(executable_path=driver))
    yield Browser(chrome)
    chrome.quit()
