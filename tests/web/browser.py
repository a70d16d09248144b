# SPDX-License-Identifier: GPL-3.0-or-later
"""Chromium, driven through its WebDriver: what a person does and sees."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.support.processes import ROOT
from tests.support.waiting import wait_for

WAIT_S = 60
PICTURES = ROOT / ".cache" / "pictures"
"""The screenshots of the last run."""

SIZES = {"phone": (360, 800), "desktop": (1280, 800)}
SCHEMES = ("light", "dark")
TALLEST = 3000

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # which Chromium refuses to root; only our own pages are opened
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en",
)

Found = WebElement


class Browser:
    """One window.

    :param url: of the dashboard.
    :param axe: the text of axe-core.
    """

    def __init__(self, url: str, axe: str) -> None:
        self.url = url.rstrip("/")
        self._axe = axe
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.page_load_strategy = "normal"
        for option in OPTIONS:
            options.add_argument(option)
        with warnings.catch_warnings():
            # Debian 12's selenium would rather be told in another place, which Debian 13's does not know.
            warnings.simplefilter("ignore", DeprecationWarning)
            # A connection for each command: one that is kept, and opened anew in a test, would be a leak.
            self.driver = webdriver.Chrome(
                options=options, service=Service("/usr/bin/chromedriver"), keep_alive=False
            )
        self.driver.set_page_load_timeout(120)
        self.driver.set_script_timeout(120)
        self.look("desktop", "light")

    def close(self) -> None:
        """End chromedriver and Chromium."""
        self.driver.quit()

    def look(self, size: str, scheme: str) -> None:
        """The size of the window, and the colour scheme of the system."""
        self._size(*SIZES[size])
        self.view = f"{size}-{scheme}"
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def _size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, path: str) -> None:
        """Go to a page of the dashboard."""
        self.driver.get(self.url + path)

    @property
    def path(self) -> str:
        """Where the window is."""
        return self.driver.current_url.removeprefix(self.url)

    def wait(self, look: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> Any:
        """Wait until `look` finds something; while the page changes it may find nothing, or what is gone."""

        def safely() -> Any:
            try:
                return look()
            except WebDriverException:
                return None

        return wait_for(safely, timeout_s, what)

    def find(self, css: str) -> WebElement:
        """The first element of a selector, as soon as there is one that can be seen."""

        def visible() -> WebElement | None:
            found = self.driver.find_elements(By.CSS_SELECTOR, css)
            return next((one for one in found if one.is_displayed()), None)

        element: WebElement = self.wait(visible, f"{css} on {self.path}")
        return element

    def text(self, css: str) -> str:
        """What stands in an element now; empty if there is none."""
        found = self.driver.find_elements(By.CSS_SELECTOR, css)
        return found[0].text if found else ""

    def sees(self, css: str, *words: str) -> None:
        """Wait until all the words stand in an element."""
        self.wait(lambda: all(word in self.text(css) for word in words), f"{words} in {css} on {self.path}")

    def fill(self, **fields: str) -> None:
        """Type into fields, by their names."""
        for name, value in fields.items():
            field = self.find(f'[name="{name}"]:not([type="hidden"])')
            field.clear()
            field.send_keys(value)

    def press(self, css: str) -> None:
        """Press a button that is scrolled to first, as a finger would."""
        element = self.find(css)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def picture(self, name: str, *, whole: bool = True) -> Path:
        """A screenshot of the whole page, or of the window alone, as .cache/pictures/NAME-SIZE-SCHEME.png."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        size = self.view.partition("-")[0]
        if whole:
            height = self.driver.execute_script("return document.documentElement.scrollHeight")
            self._size(SIZES[size][0], min(max(height, SIZES[size][1]), TALLEST))
        path = PICTURES / f"{name}-{self.view}.png"
        assert self.driver.save_screenshot(str(path))
        self._size(*SIZES[size])
        return path

    def too_wide(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(
            self.driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        )

    def barriers(self) -> list[str]:
        """What axe-core calls serious or critical, a line each."""
        if not self.driver.execute_script("return Boolean(window.axe)"):
            # Through the debugger, which the page's Content-Security-Policy does not bind.
            self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": self._axe})
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run(document, {resultTypes: ['violations']}).then((r) => done(r.violations),"
            " (e) => done([{impact: 'critical', id: String(e), help: '', nodes: []}]));"
        )
        return [
            f"{one['impact']} {one['id']}, {one['help']}: {[node['html'] for node in one['nodes']][:3]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    def complaints(self) -> list[str]:
        """What the console has as errors since the last call: failed scripts, what the policy forbade."""
        return [one["message"] for one in self.driver.get_log("browser") if one["level"] == "SEVERE"]
