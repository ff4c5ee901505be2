"""Take the README's picture of the asset graph: after `kshift demo`, with Chromium and its driver installed."""

import base64
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import httpx

PICTURE = Path(__file__).with_name("asset_graph.png")
UI_PORT, DRIVER_PORT = 3456, 9516
# All assets together would be taller than a page: the domains are open, the groups in them closed.
OPEN = ",".join(f"global@global:{domain}" for domain in ("chess", "lichess", "published"))
PAGE = f"http://127.0.0.1:{UI_PORT}/asset-groups?expanded={quote(OPEN, safe='')}"
WINDOW = "1700,1100"
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
LAYOUT_SECONDS = 40.0  # the states of the assets come last
SCALE = 1.6
BOX_OF_THE_GRAPH = """
const boxes = [...document.querySelectorAll('svg foreignObject')].map(one => one.getBoundingClientRect());
const left = Math.min(...boxes.map(box => box.left)) - 12, top = Math.min(...boxes.map(box => box.top)) - 12;
const right = Math.max(...boxes.map(box => box.right)) + 12, bottom = Math.max(...boxes.map(box => box.bottom)) + 12;
return {x: left, y: top, width: right - left, height: bottom - top};
"""


def wait_for(client: httpx.Client, path: str) -> None:
    """Until a server answers."""
    for _ in range(240):
        try:
            client.get(path).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.5)
        else:
            return
    sys.exit(f"{client.base_url} does not answer")


def photograph(driver: httpx.Client, url: str, profile: str) -> bytes:
    """Open a page in Chromium, and return what its graph shows, as PNG."""
    options = {"args": [*SWITCHES, f"--window-size={WINDOW}", f"--user-data-dir={profile}"]}
    wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
    session = f"/session/{driver.post('/session', json=wanted).json()['value']['sessionId']}"
    try:
        driver.post(f"{session}/url", json={"url": url})
        time.sleep(LAYOUT_SECONDS)
        box = driver.post(f"{session}/execute/sync", json={"script": BOX_OF_THE_GRAPH, "args": []}).json()["value"]
        shot = {"cmd": "Page.captureScreenshot", "params": {"clip": box | {"scale": SCALE}}}
        return base64.b64decode(driver.post(f"{session}/goog/cdp/execute", json=shot).json()["value"]["data"])
    finally:
        driver.delete(session)


def main() -> None:
    """Start the web UI and the driver, take the picture, end both."""
    driver_command = [shutil.which("chromedriver") or sys.exit("install Chromium's driver"), f"--port={DRIVER_PORT}"]
    web = subprocess.Popen([sys.executable, "-m", "serving.cli", "up", "--port", str(UI_PORT)])  # noqa: S603  # ours
    chromedriver = subprocess.Popen(driver_command, stdout=subprocess.DEVNULL)  # noqa: S603  # ours
    try:
        with (
            httpx.Client(base_url=f"http://127.0.0.1:{UI_PORT}", trust_env=False) as ui,
            httpx.Client(base_url=f"http://127.0.0.1:{DRIVER_PORT}", trust_env=False, timeout=120) as driver,
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        ):
            wait_for(ui, "/server_info")
            wait_for(driver, "/status")
            PICTURE.write_bytes(photograph(driver, PAGE, profile))
    finally:
        for process in (chromedriver, web):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
